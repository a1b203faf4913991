"""Positions: what of the source a step or comment is underlined."""

import asyncio
import re
from pathlib import Path

import libcst
import pytest

from cancellint.frontend.lower import lower
from cancellint.frontend.positions import DEFINITION, comments, spans
from cancellint.model import ir
from cancellint.model.source import Span

_NEWLINE = re.compile(r"\r\n|\r|\n")


def text_of(source: str, span: Span) -> str:
    """What stands at a span of the source."""
    starts = [0, *(match.end() for match in _NEWLINE.finditer(source))]
    first = starts[span.line - 1] + span.column - 1
    return source[first : starts[span.end_line - 1] + span.end_column - 1]


def underlined(source: str, kind: type[ir.Step], function: int = 1) -> list[str]:
    """What is underlined for the steps of one kind, in the order of their numbers."""
    tree = libcst.parse_module(source.encode())
    steps = lower(tree).functions[function].steps
    wanted = [(function, number) for number, step in enumerate(steps) if isinstance(step, kind)]
    found = spans(tree, wanted)
    return [text_of(source, found[key]) for key in wanted]


def test_an_await_is_underlined_whole():
    assert underlined("async def f():\n    x = 1 + (await a.b(\n        1))\n", ir.Await) == [
        "await a.b(\n        1)"
    ]


def test_a_call_is_underlined_with_its_arguments_but_not_its_brackets():
    assert underlined("def f():\n    return ((a.b)(c)).d(e)\n", ir.Call) == ["(a.b)(c)", "((a.b)(c)).d(e)"]


def test_of_a_with_the_item_is_underlined():
    source = "async def f():\n    async with (a() as x, b):\n        pass\n"
    assert set(underlined(source, ir.Await)) == {"a()", "b"}
    assert underlined(source, ir.Assign) == ["x"]


def test_of_a_loop_the_iterable_is_underlined():
    source = "async def f():\n    async for x in a.b:\n        [y for y in (c)]\n"
    assert underlined(source, ir.Await) == ["a.b"]
    assert underlined(source, ir.Next) == ["c"]


def test_of_a_handler_its_types_or_its_keyword_are_underlined():
    source = "def f():\n    try:\n        g()\n    except (A, B):\n        pass\n    except:\n        pass\n"
    assert underlined(source, ir.Catch) == ["A, B", "except"]


def test_statements_are_underlined_without_what_follows():
    source = "def f():\n    self.x = 1; del y  # comment\n    if a: raise B from c\n    return  d\n"
    assert underlined(source, ir.Assign) == ["self.x = 1"]
    assert underlined(source, ir.Delete) == ["del y"]
    assert underlined(source, ir.Raise) == ["raise B from c"]
    assert underlined(source, ir.Return) == ["return  d"]


def test_of_an_import_the_alias_is_underlined():
    source = "from a import (\n    b as c,\n    d,\n)\nfrom e import *\n"
    assert underlined(source, ir.Assign, 0) == ["b as c", "d"]
    assert underlined(source, ir.StarImport, 0) == ["from e import *"]


def test_of_a_definition_the_name_is_underlined():
    source = "@d\nasync def f(): pass\nclass C: pass\nlambda x: x\n"
    tree = libcst.parse_module(source)
    found = spans(tree, [(i, DEFINITION) for i in range(4)])
    names = [function.name for function in lower(tree).functions]
    assert dict(zip(names, (text_of(source, found[i, DEFINITION]) for i in range(4)), strict=True)) == {
        "<module>": "",
        "f": "f",
        "C": "C",
        "<lambda>": "lambda x: x",
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_kind_count_once(newline: str):
    source = newline.join(["def f():", '    """a', '    b"""', "    c(", "    )", ""])
    tree = libcst.parse_module(source.encode())
    assert spans(tree, [(1, 0)]) == {(1, 0): Span(4, 5, 5, 6)}


def test_columns_count_characters():
    source = "def f():\n\t'é😀'; a(); \\\n\tb()\n\f\ndef g():\n\f    c()\n"
    assert underlined(source, ir.Call) == ["a()", "b()"]
    tree = libcst.parse_module(source.encode())
    assert spans(tree, [(1, 0)]) == {(1, 0): Span(2, 8, 2, 11)}


def test_a_byte_order_mark_is_no_column():
    tree = libcst.parse_module(b"\xef\xbb\xbfa()\n")
    assert spans(tree, [(0, 0)]) == {(0, 0): Span(1, 1, 1, 4)}


def test_a_file_may_end_without_a_newline():
    assert underlined("def f(): a()", ir.Call) == ["a()"]
    assert spans(libcst.parse_module(""), [(0, DEFINITION)]) == {(0, DEFINITION): Span(1, 1, 1, 1)}


def test_comments_are_found_wherever_they_stand():
    source = "# a\nx = (  # b\n    # c\n    1)\nif x:  # d\n    pass\n    # e\n# f"
    found = comments(libcst.parse_module(source))
    assert [(text, own) for _, text, own in found] == [
        ("# a", True),
        ("# b", False),
        ("# c", True),
        ("# d", False),
        ("# e", True),
        ("# f", True),
    ]
    assert [text_of(source, span) for span, _, _ in found] == [text for _, text, _ in found]


def test_long_sums_have_positions_too():
    source = "x = " + " + ".join(["a"] * 1500) + " + b()\n"
    assert underlined(source, ir.Call, 0) == ["b()"]


@pytest.mark.parametrize("name", ["streams.py", "tasks.py", "queues.py", "unix_events.py"])
def test_every_step_of_real_code_is_where_it_says(name: str):
    source = (Path(asyncio.__file__).parent / name).read_text()
    tree = libcst.parse_module(source)
    functions = lower(tree).functions
    wanted = [(i, n) for i, function in enumerate(functions) for n in range(-1, len(function.steps))]
    found = spans(tree, wanted)
    assert len(found) == len(wanted)
    for (index, number), span in found.items():
        if number == DEFINITION:
            continue
        text = text_of(source, span)
        match functions[index].steps[number]:
            case ir.Await(kind=ir.AwaitKind.EXPRESSION):
                assert text.startswith("await")
            case ir.Call():
                assert text.endswith(")")
            case ir.Return() if functions[index].kind == "function":
                assert text.startswith("return")
            case _:
                assert text
