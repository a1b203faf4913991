"""Access paths: which expressions of a function mean which object."""

import pytest

from cancellint.analysis.memory.access_paths import LONGEST, Frame, cut
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Assign, Call, Name
from cancellint.model.summary import KEPT, RESULT, Path
from cancellint.model.types import FunctionKey
from tests.linked import calls, key_of, link


def shown(path: Path | None) -> str:
    return "computed" if path is None else ".".join((path.root, *path.fields))


def path_of(source: str, symbol: str = "main.f") -> str:
    """The path of what a function passes to its last `mark(...)`."""
    program = link({"main": source})
    frame = Frame(program, key_of(program, symbol))
    marks = [call for key, _, call in calls(program, "mark") if key == frame.key]
    return shown(frame.path(marks[-1].args[0]))


def steps_that_call(program: Program, key: FunctionKey, name: str) -> list[int]:
    return [
        number
        for number, step in enumerate(program.function(key).steps)
        if isinstance(step, Call) and step.func == Name(name)
    ]


# --------------------------------------------------------------------------- paths by themselves


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        (Path("param:0", ("a", "b")), Path("param:0", ("a",)), True),
        (Path("param:0", ("a",)), Path("param:0", ("a",)), True),
        (Path("param:0", ("a",)), Path("param:0"), True),
        (Path("param:0"), Path("param:0", ("a",)), False),
        (Path("param:0", ("ab",)), Path("param:0", ("a",)), False),
        (Path("param:0", ("a",)), Path("param:1"), False),
        (Path("param:10"), Path("param:1"), False),
    ],
)
def test_a_path_is_within_another_if_it_is_that_object_or_a_part_of_it(
    inner: Path, outer: Path, within: bool
) -> None:
    assert inner.is_within(outer) is within


@pytest.mark.parametrize(
    ("one", "other", "siblings"),
    [
        (Path("param:0", ("reader",)), Path("param:0", ("writer",)), True),
        (Path("param:0", ("a", "reader")), Path("param:0", ("a", "writer")), True),
        (Path("param:0", ("a", "reader")), Path("param:0", ("b", "writer")), False),
        (Path("param:0", ("reader",)), Path("param:1", ("writer",)), False),
        (Path("param:0"), Path("param:0"), False),
        (Path("param:0", ("reader",)), Path("param:0"), False),
    ],
)
def test_siblings_are_attributes_of_one_object(one: Path, other: Path, siblings: bool) -> None:
    assert one.is_sibling(other) is siblings
    assert other.is_sibling(one) is siblings


@pytest.mark.parametrize(
    ("path", "visible"),
    [
        (Path("param:0"), True),
        (Path("global:main.queue"), True),
        (Path("free:main#1:buffer"), True),
        (RESULT, True),
        (KEPT, True),
        (Path("local:buffer"), False),
        (Path("temp:4", ("reader",)), False),
    ],
)
def test_callers_see_everything_but_locals_and_outcomes(path: Path, visible: bool) -> None:
    assert path.is_visible_to_callers is visible


def test_a_path_is_cut_where_it_is_longer_than_is_followed() -> None:
    names = tuple(f"f{number}" for number in range(LONGEST + 3))

    assert cut(Path("param:0", names[:LONGEST])) == Path("param:0", names[:LONGEST])
    assert cut(Path("param:0", names)) == Path("param:0", names[:LONGEST])


def test_a_path_that_comes_round_to_a_field_again_is_taken_for_the_same_object() -> None:
    assert cut(Path("param:0", ("next", "next", "next"))) == Path("param:0", ("next",))
    assert cut(Path("param:0", ("inner", "x", "inner"))) == Path("param:0", ("inner", "x"))


# --------------------------------------------------------------------------- paths of expressions


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("mark(a)", "param:0"),
        ("mark(b.reader)", "param:1.reader"),
        ("mark(a.conn.reader)", "param:0.conn.reader"),
        ("mark(a[0])", "param:0.[0]"),
        ("mark(a['key'].x)", "param:0.[key].x"),
        ("mark(a[b])", "param:0.[]"),
        ("mark(a[:4])", "computed"),
        ("mark(a[b + 1])", "computed"),
        ("mark(a + b)", "computed"),
        ("mark(4)", "computed"),
        ("mark([a])", "computed"),
        ("mark(queue)", "global:main.queue"),
        ("mark(queue.items)", "global:main.queue.items"),
    ],
)
def test_an_expression_is_named_by_its_root_and_fields(body: str, expected: str) -> None:
    assert path_of(f"queue = object()\ndef f(a, b):\n    {body}\n") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("r = a.reader\nmark(r)", "param:0.reader"),
        ("conn = a.conn\nr = conn.reader\nmark(r)", "param:0.conn.reader"),
        ("r, w = a.pair\nmark(w)", "param:0.pair.#1"),
        ("mark(r := a.reader)", "param:0.reader"),
        ("r = a.reader\nr = b.reader\nmark(r)", "local:r"),
        ("if b:\n    r = a.reader\nelse:\n    r = b.reader\nmark(r)", "local:r"),
        ("n = 0\nn += a\nmark(n)", "local:n"),
        ("a = b.reader\nmark(a)", "param:0"),
        ("x = a + b\nmark(x)", "local:x"),
        ("x = b''\nmark(x)", "local:x"),
    ],
)
def test_a_local_bound_once_to_an_object_is_another_name_for_it(body: str, expected: str) -> None:
    lines = "".join(f"    {line}\n" for line in body.splitlines())

    assert path_of(f"def f(a, b):\n{lines}") == expected


def test_what_a_call_made_is_named_by_its_step() -> None:
    program = link({"main": "def f():\n    made = make()\n    mark(made.reader)\n"})
    key = key_of(program, "main.f")
    (made,) = steps_that_call(program, key, "make")
    (mark,) = (call for _, _, call in calls(program, "mark"))

    assert Frame(program, key).path(mark.args[0]) == Path(f"temp:{made}", ("reader",))


def test_two_calls_of_one_function_make_two_objects() -> None:
    program = link({"main": "def f():\n    one = make()\n    two = make()\n    mark(one, two)\n"})
    key = key_of(program, "main.f")
    (mark,) = (call for _, _, call in calls(program, "mark"))
    frame = Frame(program, key)

    assert frame.path(mark.args[0]) != frame.path(mark.args[1])


def test_self_is_the_first_parameter() -> None:
    source = "class C:\n    def f(self):\n        mark(self.conn.reader)\n"

    assert path_of(source, "main.C.f") == "param:0.conn.reader"


def test_a_variable_of_an_enclosing_function_is_named_by_that_function() -> None:
    source = "def outer(r):\n    buf = b''\n    def f():\n        mark(buf)\n"
    program = link({"main": source})
    outer = key_of(program, "main.outer")

    assert path_of(source, "main.outer.f") == f"free:main#{outer.function}:buf"


def test_a_parameter_of_an_enclosing_function_is_a_variable_of_it() -> None:
    source = "def outer(r):\n    def middle():\n        def f():\n            mark(r.x)\n"
    program = link({"main": source})
    outer = key_of(program, "main.outer")

    assert path_of(source, "main.outer.middle.f") == f"free:main#{outer.function}:r.x"


def test_a_class_body_between_is_no_enclosing_scope() -> None:
    source = "buf = []\nclass C:\n    buf = {}\n    def f(self):\n        mark(buf)\n"

    assert path_of(source, "main.C.f") == "global:main.buf"


def test_a_global_declared_so_is_the_modules_even_where_it_is_assigned() -> None:
    source = "reader = None\ndef f(a):\n    global reader\n    reader = a.x\n    mark(reader)\n"

    assert path_of(source) == "global:main.reader"


def test_a_nonlocal_is_the_enclosing_functions_even_where_it_is_assigned() -> None:
    inner = "    def f(a):\n        nonlocal buf\n        buf = a.x\n        mark(buf)\n"
    source = f"def outer():\n    buf = b''\n{inner}"
    program = link({"main": source})
    outer = key_of(program, "main.outer")

    assert path_of(source, "main.outer.f") == f"free:main#{outer.function}:buf"


def test_a_variable_bound_to_itself_ends_the_walk() -> None:
    assert path_of("def f():\n    while x:\n        x = x.next\n    mark(x)\n").startswith("local:x")


def test_two_variables_bound_to_each_other_end_the_walk() -> None:
    source = "def f(go):\n    while go:\n        x = y.a\n        y = x.b\n    mark(x)\n"

    assert path_of(source).startswith("local:")


def test_a_chain_of_a_thousand_attributes_is_followed_without_recursion() -> None:
    names = [f"x{number}" for number in range(1000)]
    expected = ".".join(["param:0", *names[:LONGEST]])

    assert path_of(f"def f(a):\n    mark(a.{'.'.join(names)})\n") == expected


def test_a_thousand_locals_that_rename_each_other_are_one_object() -> None:
    renamed = "".join(f"    x{number + 1} = x{number}\n" for number in range(1000))

    assert path_of(f"def f(a):\n    x0 = a.reader\n{renamed}    mark(x1000)\n") == "param:0.reader"


def test_what_a_variable_is_bound_to_is_known_only_where_it_is_bound_once() -> None:
    program = link({"main": "def f(a):\n    once = a.x\n    twice = a.x\n    twice = a.y\n"})
    frame = Frame(program, key_of(program, "main.f"))
    first = next(step for step in frame.function.steps if isinstance(step, Assign))

    assert frame.value_of("once") == first.value
    assert frame.value_of("twice") is None


@pytest.mark.parametrize(
    ("name", "outlives"), [("queue", True), ("buf", True), ("mine", False), ("given", False)]
)
def test_globals_and_variables_of_enclosing_functions_outlive_the_call(name: str, outlives: bool) -> None:
    inner = "    def f(given):\n        mine = 1\n        print(buf)\n"
    source = f"queue = []\ndef outer():\n    buf = []\n{inner}"
    program = link({"main": source})

    assert Frame(program, key_of(program, "main.outer.f")).outlives(name) is outlives
