"""Values, bindings and definitions: what the IR says beside control flow."""

import asyncio
import textwrap
from pathlib import Path

import libcst
import msgspec
import pytest

from cancellint.frontend.lower import lower
from cancellint.model import ir

NONE = ir.Const("none", "None")


def module(source: str) -> ir.Module:
    return lower(libcst.parse_module(textwrap.dedent(source)))


def named(source: str, name: str = "f") -> ir.Function:
    return next(each for each in module(source).functions if each.name == name)


def value(expression: str) -> ir.Expr:
    """What `x = expression` assigns."""
    return assigned(f"x = {expression}\n")[-1][1]


def assigned(source: str) -> list[tuple[ir.Expr, ir.Expr]]:
    return [(s.target, s.value) for s in module(source).functions[0].steps if isinstance(s, ir.Assign)]


# ------------------------------------------------------------------ literals


@pytest.mark.parametrize(
    ("literal", "kind", "text"),
    [
        ("None", "none", "None"),
        ("True", "bool", "True"),
        ("0x_ff", "int", "255"),
        ("-1", "int", "-1"),
        ("- -1", "int", "1"),
        ("-0", "int", "0"),
        ("1_000.50", "float", "1000.5"),
        ("2J", "complex", "2j"),
        ("...", "ellipsis", "..."),
        (r'"a\x41\u00e9\N{BULLET}\101\q"', "str", "aAé•A\\q"),
        (r"r'\x41'", "str", r"\x41"),
        ("'''a\r\nb'''", "str", "a\nb"),
        ("'a' \"b\" 'c'", "str", "abc"),
        (r"b'\xff\''", "bytes", repr(b"\xff'")),
        (r"'\ud800'", "str", r"\ud800"),
        ("''", "str", ""),
        ('""""a" """', "str", '"a" '),
    ],
)
def test_equal_literals_have_equal_texts(literal: str, kind: str, text: str):
    assert value(literal) == ir.Const(kind, text)


def test_a_number_too_long_to_convert_keeps_its_spelling():
    assert value("1" * 5000) == ir.Const("int", "1" * 5000)


def test_an_fstring_is_made_of_its_parts():
    expected = (ir.Const("str", "a"), ir.Name("b"), ir.Const("str", ">"), ir.Name("w"), ir.Const("str", "c"))
    assert value("f'a{b!r:>{w}}' 'c'") == ir.Op("fstring", expected)


# ------------------------------------------------------------------ expressions


def test_a_call_is_a_step_and_its_outcome_a_temporary():
    body = module("x = a.b(1, *c, d=2, **e)[0]\n").functions[0]
    assert body.steps == (
        ir.Call(
            ir.Attr(ir.Name("a"), "b"),
            (ir.Const("int", "1"), ir.Star(ir.Name("c"))),
            (("d", ir.Const("int", "2")), (None, ir.Name("e"))),
            True,
        ),
        ir.Assign(ir.Name("x"), ir.Item(ir.Temp(0), ir.Const("int", "0"))),
    )


def test_a_dropped_result_is_not_used():
    body = named("async def f():\n    a()\n    await b()\n    yield 1\n    c.d\n    'text'\n")
    call, awaited_call, awaited, yielded, evaluated = body.steps
    assert (call.used, awaited_call.used, awaited.used, yielded.used) == (False, True, False, False)
    assert evaluated == ir.Evaluate(ir.Attr(ir.Name("c"), "d"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a[1:, ::2]", ir.Item(
            ir.Name("a"),
            ir.Build("tuple", (
                ir.Op("slice", (ir.Const("int", "1"), NONE, NONE)),
                ir.Op("slice", (NONE, NONE, ir.Const("int", "2"))),
            )),
        )),
        ("a < b <= c", ir.Op("and", (
            ir.Op("<", (ir.Name("a"), ir.Name("b"))), ir.Op("<=", (ir.Name("b"), ir.Name("c")))
        ))),
        ("a if b else c", ir.Op("ifexp", (ir.Name("b"), ir.Name("a"), ir.Name("c")))),
        ("not a", ir.Op("not", (ir.Name("a"),))),
        ("a ** -b", ir.Op("**", (ir.Name("a"), ir.Op("-", (ir.Name("b"),))))),
        ("a - b - c", ir.Op("-", (ir.Op("-", (ir.Name("a"), ir.Name("b"))), ir.Name("c")))),
        ("a not in b", ir.Op("not in", (ir.Name("a"), ir.Name("b")))),
        ("{1: a, **b}", ir.Build("dict", (ir.Const("int", "1"), ir.Name("a"), ir.Star(ir.Name("b"))))),
        ("[*a, b]", ir.Build("list", (ir.Star(ir.Name("a")), ir.Name("b")))),
    ],
)  # fmt: skip
def test_pure_expressions_stay_symbolic(expression: str, expected: ir.Expr):
    assert value(expression) == expected


# ------------------------------------------------------------------ assignment


def test_a_chained_assignment_binds_each_target():
    assert assigned("a = b.c = d\n") == [
        (ir.Name("a"), ir.Name("d")),
        (ir.Attr(ir.Name("b"), "c"), ir.Name("d")),
    ]


def test_unpacking_counts_from_the_right_after_a_star():
    v = ir.Name("v")
    assert assigned("a, (b, c), *d, e = v\n") == [
        (ir.Name("a"), ir.Element(v, 0)),
        (ir.Name("b"), ir.Element(ir.Element(v, 1), 0)),
        (ir.Name("c"), ir.Element(ir.Element(v, 1), 1)),
        (ir.Name("d"), ir.Element(v, 2, True)),
        (ir.Name("e"), ir.Element(v, -1)),
    ]


def test_a_display_is_unpacked_directly():
    assert assigned("self.r, self.w = r, w\n") == [
        (ir.Attr(ir.Name("self"), "r"), ir.Name("r")),
        (ir.Attr(ir.Name("self"), "w"), ir.Name("w")),
    ]


def test_a_swap_reads_both_before_it_stores():
    assert assigned("a, b = b, a\n")[0] == (
        ir.Name("$1"),
        ir.Build("tuple", (ir.Name("b"), ir.Name("a"))),
    )
    assert assigned("a, b = b, a\n")[1:] in (
        [(ir.Name("a"), ir.Element(ir.Name("$1"), 0)), (ir.Name("b"), ir.Element(ir.Name("$1"), 1))],
    )


def test_augmented_and_annotated_assignments():
    body = named("def f(self):\n    self.n += 1\n    x: int\n    self.y: 'A[B]' = 2\n    del x, self.z[:1]\n")
    this, one = ir.Name("self"), ir.Const("int", "1")
    assert body.steps == (
        ir.Assign(ir.Attr(this, "n"), one, "+"),
        ir.Assign(ir.Attr(this, "y"), ir.Const("int", "2")),
        ir.Delete(ir.Name("x")),
        ir.Delete(ir.Item(ir.Attr(this, "z"), ir.Op("slice", (NONE, one, NONE)))),
    )
    assert body.annotations == (
        ir.Annotation("x", ir.Name("int")),
        ir.Annotation("self.y", ir.Item(ir.Name("A"), ir.Name("B"))),
    )
    assert body.locals == ("self", "x")


def test_imports_bind_what_python_binds():
    source = "import a.b.c\nimport a.b as d\nfrom ..x import (y as z, w)\nfrom . import q\nfrom m import *\n"
    body = module(source).functions[0]
    assert body.steps == (
        ir.Assign(ir.Name("a"), ir.Imported("a", 0, None)),
        ir.Assign(ir.Name("d"), ir.Imported("a.b", 0, None)),
        ir.Assign(ir.Name("z"), ir.Imported("x", 2, "y")),
        ir.Assign(ir.Name("w"), ir.Imported("x", 2, "w")),
        ir.Assign(ir.Name("q"), ir.Imported("", 1, "q")),
        ir.StarImport("m", 0),
    )
    assert body.locals == ("a", "d", "q", "w", "z")


# ------------------------------------------------------------------ definitions


def test_a_signature_keeps_kinds_annotations_and_defaults():
    function = named("def f(a, /, b: 'B' = g(1, k=2), *c: int, d, **e) -> 'x.Y | None': pass\n")
    one, two = ir.Const("int", "1"), ir.Const("int", "2")
    default = ir.Op("call", (ir.Name("g"), one, ir.Op("keyword", (ir.Const("str", "k"), two))))
    assert function.params == (
        ir.Param("a", "positional-only", None, None),
        ir.Param("b", "positional", ir.Name("B"), default),
        ir.Param("c", "varargs", ir.Name("int"), None),
        ir.Param("d", "keyword", None, None),
        ir.Param("e", "varkwargs", None, None),
    )
    assert function.returns == ir.Op("|", (ir.Attr(ir.Name("x"), "Y"), NONE))
    assert function.locals == ("a", "b", "c", "d", "e")


def test_strings_in_literal_and_annotated_are_values():
    function = named('def f():\n    x: Literal["a"]\n    y: Annotated["A", "b"]\n    z: "no type!"\n')
    assert [annotation.type for annotation in function.annotations] == [
        ir.Item(ir.Name("Literal"), ir.Const("str", "a")),
        ir.Item(ir.Name("Annotated"), ir.Build("tuple", (ir.Name("A"), ir.Const("str", "b")))),
        ir.Const("str", "no type!"),
    ]


def test_a_decorator_is_called_and_described():
    lowered = module("@retry(3)\n@plain\nasync def f(): pass\n")
    three = ir.Const("int", "3")
    assert lowered.functions[0].steps == (
        ir.Call(ir.Name("retry"), (three,), (), True),
        ir.Assign(ir.Name("f"), ir.Closure(1)),
    )
    assert lowered.functions[1].decorators == (ir.Op("call", (ir.Name("retry"), three)), ir.Name("plain"))


def test_functions_and_classes_know_where_they_stand():
    lowered = module("""
    class A(B, metaclass=M):
        def m(self):
            def inner(): pass
            class L:
                def deep(self): pass
        k = lambda x=1: x
        class N: pass
    """)
    assert [(f.qualname, f.kind, f.parent, f.cls) for f in lowered.functions] == [
        ("<module>", "module", -1, -1),
        ("A", "class", 0, -1),
        ("A.m", "function", 0, 0),
        ("A.<lambda>", "lambda", 0, 0),
        ("A.N", "class", 0, 0),
        ("A.m.inner", "function", 2, -1),
        ("A.m.L", "class", 2, -1),
        ("A.m.L.deep", "function", 2, 2),
    ]
    assert [(c.qualname, c.parent, c.outer, c.body) for c in lowered.classes] == [
        ("A", 0, -1, 1),
        ("A.N", 0, 0, 4),
        ("A.m.L", 2, -1, 6),
    ]
    assert lowered.classes[0].bases == (ir.Name("B"),)
    assert lowered.classes[0].keywords == (("metaclass", ir.Name("M")),)


def test_a_definition_in_a_copied_finally_is_one_function():
    lowered = module("""
    async def f():
        try:
            await g()
        finally:
            h(lambda: 1)
            def k(): pass
    """)
    assert [function.name for function in lowered.functions] == ["<module>", "f", "<lambda>", "k"]


def test_global_and_nonlocal_names_are_no_locals():
    function = named("def f():\n    global a\n    nonlocal b\n    a = b = c = 1\n")
    assert (function.locals, function.global_names, function.nonlocal_names) == (("c",), ("a",), ("b",))


def test_a_lambda_in_a_comprehension_sees_the_comprehensions_variable():
    lowered = module("fs = [lambda y: (x, y) for x in xs]\n")
    assert lowered.functions[1].steps == (ir.Return(ir.Build("tuple", (ir.Name("x@2"), ir.Name("y")))),)


@pytest.mark.parametrize(
    "source",
    [
        "async def f():  # cancellint: cancel-safe\n    pass\n",
        "async def f(): pass  # cancellint: cancel-safe\n",
        "async def f(  # cancellint: cancel-safe\n    a,\n):\n    pass\n",
        "x = 1\n# cancellint: cancel-safe\nasync def f(): pass\n",
        "x = 1\n# cancellint: cancel-safe\n@a\nasync def f(): pass\n",
        "@a\n@b  # cancellint: cancel-safe\nasync def f(): pass\n",
        "@a\n# cancellint: cancel-safe\nasync def f(): pass\n",
        "# cancellint: cancel-safe\nasync def f(): pass\n",
    ],
)
def test_a_promise_is_read_from_a_comment_on_the_def(source: str):
    assert named(source).contract == "cancel-safe"


@pytest.mark.parametrize(
    "source",
    [
        "# cancellint: cancel-safe\n\nasync def f(): pass\n",
        "x = 1\n# cancellint: cancel-safe\n\nasync def f(): pass\n",
        "async def f():\n    # cancellint: cancel-safe\n    pass\n",
        "async def f():  # is cancel-safe\n    pass\n",
    ],
)
def test_other_comments_promise_nothing(source: str):
    assert named(source).contract is None


def test_newer_syntax_is_understood():
    lowered = module("type X[T] = list[T]\nclass A[T: int](B): pass\ndef f[**P](*a: *Ts): pass\n")
    assert lowered.functions[0].steps[0] == ir.Assign(ir.Name("X"), ir.Item(ir.Name("list"), ir.Name("T")))


# ------------------------------------------------------------------ properties

_LIBRARY = sorted(Path(asyncio.__file__).parent.glob("*.py"))


def test_there_is_a_library_to_try():
    assert len(_LIBRARY) > 20


@pytest.mark.parametrize("path", _LIBRARY, ids=lambda path: path.name)
def test_graphs_of_real_code_are_whole(path: Path):
    tree = libcst.parse_module(path.read_bytes())
    lowered = lower(tree)
    for function in lowered.functions:
        _check_blocks(function)
        _check_temporaries(function)
    for index, function in enumerate(lowered.functions[1:], 1):
        assert 0 <= function.parent < index
    encoded = msgspec.msgpack.encode(lowered)
    assert msgspec.msgpack.encode(lower(tree)) == encoded
    assert msgspec.msgpack.decode(encoded, type=ir.Module) == lowered


def _check_blocks(function: ir.Function) -> None:
    """Blocks partition the steps, edges arrive somewhere, and every block is reached."""
    at = 0
    reached = {0}
    for block in function.blocks:
        assert block.first == at
        at = block.last
        assert all(ir.CANCEL_EXIT <= edge.to < len(function.blocks) for edge in block.edges)
        assert len(set(block.edges)) == len(block.edges)
        reached.update(edge.to for edge in block.edges)
        assert all(region < len(function.regions) for region in block.regions)
    assert at == len(function.steps)
    assert set(range(len(function.blocks))) <= reached


def _check_temporaries(function: ir.Function) -> None:
    """A step refers to steps lowered before it only, and only to such as have an outcome."""
    outcome = (ir.Call, ir.Await, ir.Yield, ir.Enter, ir.Next, ir.Catch)
    for number, step in enumerate(function.steps):
        for temporary in _temporaries(step):
            assert temporary.step < number
            assert isinstance(function.steps[temporary.step], outcome)


def _temporaries(step: ir.Step) -> list[ir.Temp]:
    found: list[ir.Temp] = []
    waiting: list[object] = [step]
    while waiting:
        match waiting.pop():
            case ir.Temp() as temporary:
                found.append(temporary)
            case msgspec.Struct() as node:
                waiting.extend(getattr(node, name) for name in node.__struct_fields__)
            case tuple() as parts:
                waiting.extend(parts)
    return found


_DEEP = {
    "sum": "x = " + " + ".join(["a"] * 1500),
    "mixed sum": "x = " + "a + b - " * 750 + "c",
    "attributes": "x = a" + ".b" * 900,
    "calls": "x = a" + ".b()" * 450,
    "powers": "x = " + " ** -".join(["a"] * 700),
    "nots": "x = " + "not " * 1500 + "a",
    "ands": "x = " + " and ".join(["a()"] * 1500),
    "conditionals": "x = " + "".join(f"a if b{i} else " for i in range(700)) + "z",
    "lambdas": "x = " + "lambda: " * 700 + "z",
    "elifs": "if a: pass\n" + "".join(f"elif b{i}: f()\n" for i in range(1500)),
    "strings": "x = (" + "'a' " * 1500 + ")",
    "lists": "x = " + "[" * 200 + "]" * 200,
    "arguments": "x = " + "f(" * 200 + ")" * 200,
    "targets": "[" * 190 + "a" + "]" * 190 + " = z",
    "blocks": "".join("\t" * i + "if a:\n" for i in range(99)) + "\t" * 99 + "[" * 190 + "f()" + "]" * 190,
    "default": "def f(a=" + "[" * 190 + "]" * 190 + "): pass",
    "annotation": "def f(a: " + " | ".join(["A"] * 500) + "): pass",
}


@pytest.mark.parametrize("source", _DEEP.values(), ids=_DEEP)
def test_deep_code_is_lowered_to_shallow_values(source: str):
    lowered = module(source + "\n")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(lowered), type=ir.Module) == lowered
