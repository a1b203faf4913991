"""Which files are worth parsing."""

import pytest

from cancellint.frontend.relevance import imports, relevant


@pytest.mark.parametrize(
    "code",
    [
        "async def f(): pass",
        "    await x",
        "@asyncio.coroutine\ndef f(): pass",
        "yield   from x",
        "@types.coroutine",
    ],
)
def test_hazard_vocabulary_makes_a_file_relevant(code: str) -> None:
    assert relevant({"a": (code.encode(), False), "b": (b"x = 1\n", False)}) == {"a"}


@pytest.mark.parametrize("code", ["asynchronous = 1", "def awaited(): pass", "coroutines = []", "x = 'no'"])
def test_words_that_only_begin_alike_do_not(code: str) -> None:
    assert relevant({"a": (code.encode(), False)}) == frozenset()


def test_what_a_relevant_file_imports_is_relevant_however_far() -> None:
    files = {
        "app": (b"from lib import base\nasync def f(): pass\n", False),
        "lib": (b"", True),
        "lib.base": (b"from .deep import Thing\n", False),
        "lib.deep": (b"import lib.deepest as d\n", False),
        "lib.deepest": (b"", False),
        "lib.unused": (b"import app\n", False),
    }

    assert relevant(files) == {"app", "lib", "lib.base", "lib.deep", "lib.deepest"}


def test_imports_in_circles_end() -> None:
    files = {"a": (b"import b\nasync def f(): pass\n", False), "b": (b"import a\n", False)}

    assert relevant(files) == {"a", "b"}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import a", {"a"}),
        ("import a.b as c, d", {"a", "a.b", "d"}),
        ("from a import b as c, d", {"a", "a.b", "a.d"}),
        ("from a import (  # why\n    b,\n    c as d,  # and, this\n)\n", {"a", "a.b", "a.c"}),
        ("from a import (b,  # (not the other)\n  c)", {"a", "a.b", "a.c"}),
        ("import a, \\\n    b", {"a", "b"}),
        ("from a import b, \\\n    c\n", {"a", "a.b", "a.c"}),
        ("from a import *", {"a", "a.*"}),
        ("from . import b", {"pkg", "pkg.b"}),
        ("from .b import c", {"pkg", "pkg.b", "pkg.b.c"}),
        ("from ..b import c", {"b", "b.c"}),
        ("    from .b import c", {"pkg", "pkg.b", "pkg.b.c"}),
        ("try:\r\n    import a\r\nexcept ImportError:\r\n    import b\r\n", {"a", "b"}),
        ("x = 'import a'", set()),
    ],
)
def test_every_way_to_import_is_seen(code: str, found: set[str]) -> None:
    assert set(imports(code.encode(), "pkg.mod", False)) == found


def test_a_package_imports_relative_to_itself() -> None:
    assert set(imports(b"from .b import c", "pkg", True)) == {"pkg", "pkg.b", "pkg.b.c"}
