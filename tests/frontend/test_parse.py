"""Bytes to trees, and the guards before it."""

from collections.abc import Callable
from pathlib import Path

import libcst
import pytest

from cancellint.frontend.guards import MAX_BRACKETS, MAX_CHAIN, MAX_INDENTS, Refusal, refusal
from cancellint.frontend.lower import lower
from cancellint.frontend.parse import is_surely_valid, parse, parse_to_lower, source_lines

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ""),
        (b"x = 1", "x = 1"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        (b"x = 1\r\ny = 2\r\n", "x = 1\r\ny = 2\r\n"),
        (b"\x0cdef f():\n\x0c    pass\n", "def f():\n\x0c    pass\n"),
        (b"# coding: latin-1\nx = '\xe9'\n", "# coding: latin-1\nx = '\xe9'\n"),
        (
            b"#!/usr/bin/python\n# -*- coding: cp1252 -*-\nx = '\x80'\n",
            "#!/usr/bin/python\n# -*- coding: cp1252 -*-\nx = '€'\n",
        ),
    ],
)
def test_every_way_to_write_a_file_is_read(data: bytes, code: str) -> None:
    tree = parse(data)

    assert isinstance(tree, libcst.Module)
    assert tree.code == code


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"x = 1\nasync def f(:\n    pass\n", 2, 13, "invalid syntax"),
        (b"x = (1,\n", 1, 5, "never closed"),
        (b"x = 'abc\n", 1, 5, "unterminated string"),
        (b"\xef\xbb\xbfx = (\n", 1, 5, "never closed"),
        (b"if x:\npass\n", 2, 1, "indented block"),
        (b"x = 1\ny = '\xff'\n", 2, 6, "not valid utf-8"),
        ("ä = 'é'; y = '".encode() + b"\xff'\n", 1, 15, "not valid utf-8"),
        (b"\xff\xfex\x00", 1, 4, "NUL"),
        (b"# coding: ascii\n# \xc3\xa4\n", 2, 3, "not valid ascii"),
        (b"# coding: no-such-thing\n", 1, 1, "encoding"),
        (b"\xef\xbb\xbf# coding: latin-1\n", 1, 1, "encoding"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    data: bytes, line: int, column: int, message: str
) -> None:
    outcome = parse(data)

    assert isinstance(outcome, Refusal)
    assert (outcome.line, outcome.column) == (line, column)
    assert message in outcome.message


DEEP: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: "x = " + "(" * n + "1" + ")" * n,
    "lists over lines": lambda n: "x = " + "[\n" * n + "1" + "]\n" * n,
    "brackets in a format string": lambda n: 'x = f"{' + "(" * n + "1" + ")" * n + '}"',
    "a sum": lambda n: "x = " + " + ".join(["1"] * n),
    "a sum over lines": lambda n: "x = (\n" + "    1 +\n" * n + "1)",
    "attributes": lambda n: "x = a" + ".b" * n,
    "calls": lambda n: "x = a" + "()" * n,
    "calls with arguments": lambda n: "x = a" + ".f(1, b)" * n,
    "nots": lambda n: "x = " + "not " * n + "1",
    "minuses": lambda n: "x = " + "-" * n + "1",
    "lambdas": lambda n: "x = " + "lambda a, b: " * n + "1",
    "conditions": lambda n: "x = " + "1 if a else " * n + "1",
    "powers": lambda n: "x = " + "1 ** " * n + "1",
    "ands": lambda n: "x = " + "a and " * n + "b",
    "elifs": lambda n: "if a:\n    pass\n" + "elif b:\n    pass\n" * n,
    "blocks": lambda n: "".join(" " * i + "if a:\n" for i in range(n)) + " " * n + "pass\n",
    "brackets full of operators": lambda n: "x = " + f"({'1 + ' * 11}" * 190 + "1" + ")" * 190,
}  # fmt: skip


@pytest.mark.parametrize("kind", DEEP)
def test_what_the_parser_would_not_survive_is_refused_first(kind: str) -> None:
    size = 400 if kind == "blocks" else 30_000
    code = DEEP[kind](size)

    refused = refusal(f"first = 1\n{code}\n".encode())

    assert refused is not None
    assert refused.line >= 2
    assert refused.message


@pytest.mark.parametrize("kind", [kind for kind in DEEP if not kind.startswith("brackets full")])
def test_what_is_merely_long_is_parsed(kind: str) -> None:
    size = 90 if kind in ("blocks", "parentheses", "lists over lines", "brackets in a format string") else 600
    code = DEEP[kind](size).encode()

    assert refusal(code) is None
    assert isinstance(parse(code), libcst.Module)


@pytest.mark.parametrize(
    "code",
    [
        "x = '" + "(" * 5000 + "'\n",
        "# " + "[" * 5000 + "\nx = 1\n",
        '"""' + "{(\n" * 5000 + '"""\n',
        "x = '" + "+ " * 5000 + "'\n",
        "x = [\n" + "    (1, -2.5, a.b),\n" * 5000 + "]\n",
        "x = {\n" + "    'k': lambda v: v + 1,\n" * 1500 + "}\n",
        "a = b.c - 1\n" * 5000,
        "x = f'{{{{{{" + "{{" * 500 + "'\n",
        "f(\n" + "    a=1, b=2,\n" * 3000 + ")\n",
        "x = r'\\'\ny = 1\n",
        "x = f\"{d['(']}{d['[']}\"\n" * 300,
        "if a:\n    pass\nelif b:\n    pass\n" * 2500,
        "def f(a,\n" + " " * 150 + "b):\n    pass\n",
    ],
)  # fmt: skip
def test_length_and_text_are_not_taken_for_depth(code: str) -> None:
    assert refusal(code.encode()) is None


def test_the_limits_are_exact() -> None:
    def nested(depth: int) -> bytes:
        return b"x = " + b"(" * depth + b"1" + b")" * depth

    assert refusal(nested(MAX_BRACKETS)) is None
    assert refusal(nested(MAX_BRACKETS + 1)) == Refusal(
        "brackets are nested more than 200 deep", 1, 4 + MAX_BRACKETS + 1
    )
    assert refusal(b"x = 1" + b"+1" * MAX_CHAIN) is None
    assert refusal(b"x = 1" + b"+1" * (MAX_CHAIN + 1)) is not None


def test_indents_count_as_python_counts_them() -> None:
    assert refusal(DEEP["blocks"](MAX_INDENTS).encode()) is None

    refused = refusal(DEEP["blocks"](MAX_INDENTS + 1).encode())

    assert refused == Refusal("blocks are nested more than 100 deep", MAX_INDENTS + 2, MAX_INDENTS + 2)


def test_nothing_the_guards_let_through_is_deeper_than_python_itself_allows() -> None:
    assert is_surely_valid(b"x = " + b"(" * 150 + b"1" + b")" * 150)
    assert not is_surely_valid(b"x = " + b"(" * 250 + b"1" + b")" * 250)


def test_huge_files_are_refused() -> None:
    assert refusal(b"#" * 10_000_001) == Refusal("this file is larger than 10 MB", 1, 1)


@pytest.mark.parametrize(
    "data", [b"def f(:\n", b"\0", b"x = '\xff'\n", b"# coding: nonsense\n", b"print 'a'\n"]
)
def test_a_file_that_is_not_needed_must_still_be_valid(data: bytes) -> None:
    assert not is_surely_valid(data)
    assert isinstance(parse(data), Refusal)


def test_lines_end_where_python_ends_them() -> None:
    assert source_lines("a\x0cb\r\nc\u2028d\re\n".encode()) == ("a\x0cb", "c\u2028d", "e", "")
    assert source_lines(b"# coding: latin-1\n\xe9") == ("# coding: latin-1", "é")
    assert source_lines(b"\xef\xbb\xbfx") == ("x",)
    assert source_lines(b"x\xff") == ("x\N{REPLACEMENT CHARACTER}",)


_SOURCES = sorted(
    path for folder in ("cancellint", "tests", "fixtures") for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("part", range(4))
def test_a_tree_made_to_be_lowered_gives_the_same_representation(part: int) -> None:
    for path in _SOURCES[part::4]:
        data = path.read_bytes()
        tree = parse(data)
        if isinstance(tree, Refusal):
            assert parse_to_lower(data) == tree
            continue
        lean = parse_to_lower(data)
        assert not isinstance(lean, Refusal)
        assert lower(lean) == lower(tree), path
