"""Names are linked over the files of a project."""

import pytest

from cancellint.analysis.program.names import Denotation, External, Value
from cancellint.analysis.program.program import Program
from cancellint.model import ir
from cancellint.model.types import ClassObject, FunctionKey, ModuleObject, ProjectFunction
from tests.linked import key_of, link


def shown(program: Program, denoted: Denotation) -> str:
    match denoted:
        case ModuleObject(name):
            return f"module {name}"
        case ClassObject(cls):
            return f"class {cls}"
        case ProjectFunction(key):
            return f"function {program.symbol(key)}"
        case External(name):
            return f"external {name}"
        case Value():
            return "value"


def resolved(files: dict[str, str], module: str, name: str) -> list[str]:
    program = link(files)
    return [shown(program, each) for each in program.resolve(module, name)]


def symbols(program: Program, keys: tuple[FunctionKey, ...]) -> list[str]:
    return [program.symbol(key) for key in keys]


PACKAGE = {
    "pkg.__init__": "from .a import f as g\nfrom . import b\nfrom .sub import *\nfrom .cycle import again\n",
    "pkg.a": "def f(): ...\n",
    "pkg.b": "class C: ...\nimport pkg.a as here\nfrom .a import f\nfrom ..pkg import a\n",
    "pkg.sub.__init__": "from ..b import C\nfrom .deep import *\n__all__ = ['C', 'd1']\n__all__ += ['d2']\n",
    "pkg.sub.deep": "def d1(): ...\ndef d2(): ...\ndef d3(): ...\n",
    "pkg.plain": "from pkg.sub.deep import *\n_private = 1\n",
    "pkg.user": """
        from pkg.plain import *
        from pkg import *
        import os.path, asyncio as aio
        from asyncio import Queue as Q
    """,
    "pkg.cycle": "from pkg import again\n",
}


@pytest.mark.parametrize(
    ("module", "name", "wanted"),
    [
        ("pkg", "g", ["function pkg.a.f"]),
        ("pkg", "b", ["module pkg.b"]),
        ("pkg", "a", ["module pkg.a"]),
        ("pkg", "C", ["class pkg.b.C"]),
        ("pkg", "d1", ["function pkg.sub.deep.d1"]),
        ("pkg", "d2", ["function pkg.sub.deep.d2"]),
        ("pkg", "d3", []),
        ("pkg", "missing", []),
        ("pkg", "again", []),
        ("pkg.b", "here", ["module pkg.a"]),
        ("pkg.b", "f", ["function pkg.a.f"]),
        ("pkg.user", "d3", ["function pkg.sub.deep.d3"]),
        ("pkg.user", "_private", []),
        ("pkg.user", "g", ["function pkg.a.f"]),
        ("pkg.user", "os", ["external os"]),
        ("pkg.user", "aio", ["external asyncio"]),
        ("pkg.user", "Q", ["external asyncio.Queue"]),
    ],
)
def test_a_name_is_followed_through_imports(module: str, name: str, wanted: list[str]):
    assert resolved(PACKAGE, module, name) == wanted


def test_conditional_definitions_are_kept_in_order():
    source = """
        import sys
        if sys.version_info > (3, 11):
            def f(): ...
        else:
            from other import f
        try:
            import fast as impl
        except ImportError:
            impl = None
    """
    files = {"m": source, "other": "f = len"}

    assert resolved(files, "m", "f") == ["function m.f", "external builtins.len"]
    assert resolved(files, "m", "impl") == ["external fast", "value"]


def test_aliases_of_names_and_attributes_are_followed():
    files = {
        "m": "import n\nA = n.B\nB = A\nC = B.inner\nx = 1 + 1\n",
        "n": "class B:\n    def inner(self): ...",
    }

    assert resolved(files, "m", "B") == ["class n.B"]
    assert resolved(files, "m", "C") == ["function n.B.inner"]
    assert resolved(files, "m", "x") == ["value"]


def test_aliases_in_a_circle_denote_nothing():
    assert resolved({"m": "a = b\nb = c\nc = a\n"}, "m", "a") == []


def test_a_namespace_without_init_is_a_module():
    assert resolved({"m": "import ns.one\nfrom ns import one", "ns.one": ""}, "m", "ns") == ["module ns"]
    assert resolved({"m": "import ns.one\nfrom ns import one", "ns.one": ""}, "m", "one") == ["module ns.one"]


def test_a_function_named_like_its_submodule_hides_it():
    files = {"pkg.__init__": "from .connect import connect", "pkg.connect": "def connect(): ..."}

    assert resolved(files, "pkg", "connect") == ["function pkg.connect.connect"]


def test_names_in_functions_follow_scopes_but_not_class_bodies():
    program = link(
        {
            "m": """
        x = len
        class C:
            x = print
            def method(self):
                return x
            def outer(self):
                y = int
                def inner():
                    nonlocal y
                    return y
                return inner
    """
        }
    )
    method = key_of(program, "m.C.method")
    inner = key_of(program, "m.C.outer.inner")

    assert program.denotes(method, ir.Name("x")) == (External("builtins.len"),)
    assert program.denotes(inner, ir.Name("y")) == (External("builtins.int"),)
    assert program.class_of(inner) == "m.C"


def test_nested_and_repeated_classes_have_names_of_their_own():
    program = link(
        {
            "m": """
        class Outer:
            class Inner: ...
        if 1 > 0:
            class Twice: ...
        else:
            class Twice: ...
    """
        }
    )

    names = sorted(info.name for info in program.classes())

    assert names[:3] == ["m.Outer", "m.Outer.Inner", "m.Twice"]
    assert names[3].startswith("m.Twice@")
    assert len(names) == 4
    assert program.cls("m.Missing") is None


HIERARCHY = {
    "m": """
        import asyncio
        from other import Mixin
        class Base(asyncio.Protocol):
            def go(self): ...
            def stay(self): ...
        class Left(Base):
            def go(self): ...
        class Right(Base):
            def go(self): ...
            def stay(self): ...
        class Bottom(Left, Right, Mixin[int]): ...
    """,
    "other": "from typing import Generic\nclass Mixin(Generic[int]):\n    def mix(self): ...",
}


def test_methods_follow_the_resolution_order_of_python():
    program = link(HIERARCHY)

    assert program.order("m.Bottom") == (
        "m.Bottom",
        "m.Left",
        "m.Right",
        "m.Base",
        "asyncio.Protocol",
        "other.Mixin",
        "typing.Generic",
    )
    assert symbols(program, program.methods("m.Bottom", "go")) == ["m.Left.go"]
    assert symbols(program, program.methods("m.Bottom", "stay")) == ["m.Right.stay"]
    assert symbols(program, program.methods("m.Bottom", "mix")) == ["other.Mixin.mix"]
    assert symbols(program, program.methods_after("m.Left", "go")) == ["m.Base.go"]
    assert program.methods("m.Bottom", "missing") == ()


def test_bases_and_library_bases_are_told_apart():
    program = link(HIERARCHY)

    assert program.bases("m.Bottom") == ("m.Left", "m.Right", "m.Base", "other.Mixin")
    assert program.library_bases("m.Bottom") == ("asyncio.Protocol", "typing.Generic")
    assert program.inherits("m.Bottom", "m.Base")
    assert not program.inherits("m.Base", "m.Bottom")


def test_overrides_are_the_definitions_in_subclasses():
    program = link(HIERARCHY)

    assert symbols(program, program.overrides("m.Base", "go")) == ["m.Left.go", "m.Right.go"]
    assert program.descendants("m.Base") == ("m.Left", "m.Right", "m.Bottom")
    assert program.descendants("asyncio.Protocol") == ("m.Base", "m.Left", "m.Right", "m.Bottom")


def test_setters_and_overloads_do_not_hide_the_implementation():
    program = link(
        {
            "m": """
        from typing import overload
        class C:
            @property
            def p(self): return 1
            @p.setter
            def p(self, value): ...
            @overload
            def f(self, a: int): ...
            @overload
            def f(self, a: str): ...
            def f(self, a): return a
            def twice(self): return 1
            def twice(self): return 2
            alias = twice
    """
        }
    )
    functions = {name: program.methods("m.C", name) for name in ("p", "f", "twice", "alias")}

    assert [program.function(key).decorators for key in functions["f"]] == [()]
    assert [len(program.function(key).params) for key in functions["p"]] == [1]
    assert functions["twice"] == functions["alias"]
    assert len(functions["twice"]) == 1


def test_classes_that_inherit_from_themselves_are_survived():
    program = link(
        {"m": "class A(B): ...\nclass B(C): ...\nclass C(A):\n    def f(self): ...\nclass D(D): ..."}
    )

    assert set(program.order("m.A")) == {"m.A", "m.B", "m.C"}
    assert symbols(program, program.methods("m.A", "f")) == ["m.C.f"]
    assert program.order("m.D") == ("m.D",)


def test_inconsistent_bases_still_have_an_order():
    program = link(
        {"m": "class X: ...\nclass Y: ...\nclass A(X, Y): ...\nclass B(Y, X): ...\nclass C(A, B): ..."}
    )

    assert set(program.order("m.C")) == {"m.C", "m.A", "m.B", "m.X", "m.Y"}


def test_a_hierarchy_of_thousands_of_classes_is_ordered():
    chain = "class C0:\n    def f(self): ...\n" + "".join(
        f"class C{n}(C{n - 1}): ...\n" for n in range(1, 1500)
    )
    program = link({"m": chain})

    assert len(program.order("m.C1499")) == 1500
    assert symbols(program, program.methods("m.C1499", "f")) == ["m.C0.f"]


def test_relative_imports_beyond_the_top_are_unknown_not_fatal():
    assert resolved({"m": "from ...up import x"}, "m", "x") == ["external up.x"]


def test_functions_are_listed_by_module_and_index():
    program = link({"b": "def f(): ...", "a": "class C:\n    def m(self): ..."})

    assert [program.symbol(key) for key in program.functions()] == ["a", "a.C", "a.C.m", "b", "b.f"]
    assert list(program.modules()) == ["a", "b"]
