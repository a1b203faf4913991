"""Arguments are bound to parameters as Python binds them: the function is called, and tells what it got.

`inspect.signature(f).bind` is no judge: before Python 3.13 it refuses the name of a positional-only parameter
with a default, which `**kwargs` takes.
"""

from collections.abc import Callable, Iterator
from itertools import chain, combinations, product
from typing import NamedTuple

import libcst
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cancellint.analysis.program.arguments import bind, receives
from cancellint.analysis.program.arguments import given as given_by_table
from cancellint.frontend.lower import lower
from cancellint.model.ir import Build, Call, Const, Expr, Name, Param, Star

NAMES = ("a", "b", "c", "d")
ELSE = "z"
"""a name that no parameter has"""
BEHIND_STAR = "from *"
BEHIND_STARS = "from **"


class Written(NamedTuple):
    """A call as it is written: `*` and `**` among the arguments are None."""

    args: tuple[str | None, ...]
    keywords: tuple[tuple[str | None, str], ...]


@st.composite
def signatures(draw: st.DrawFn) -> str:
    """Parameters of all kinds, some of them with defaults, in an order that Python takes."""
    names = NAMES[: draw(st.integers(0, len(NAMES)))]
    slash, star = sorted((draw(st.integers(0, len(names))), draw(st.integers(0, len(names)))))
    optional_from = draw(st.integers(0, star))
    parts = [name if place < optional_from else f"{name}=0" for place, name in enumerate(names[:star])]
    if slash:
        parts.insert(slash, "/")
    if draw(st.booleans()):
        parts.append("*args")
    elif names[star:]:
        parts.append("*")
    parts += [f"{name}=0" if draw(st.booleans()) else name for name in names[star:]]
    return ", ".join((*parts, *(("**kwargs",) if draw(st.booleans()) else ())))


@st.composite
def written_calls(draw: st.DrawFn) -> Written:
    count = draw(st.integers(0, 5))
    args = tuple(None if draw(st.integers(0, 4)) == 0 else f"arg{place}" for place in range(count))
    names = draw(st.lists(st.sampled_from((*NAMES, ELSE)), unique=True, max_size=3))
    keywords = [(name, f"={name}") for name in names]
    return Written(args, (*keywords, *(((None, "**"),) if draw(st.booleans()) else ())))


def params_of(signature: str) -> tuple[Param, ...]:
    return lower(libcst.parse_module(f"def f({signature}): pass\n")).functions[-1].params


def function(signature: str) -> Callable[..., dict[str, object]]:
    scope: dict[str, object] = {}
    exec(f"def f({signature}): return locals()", scope)
    return scope["f"]


def runs(call: Written) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield what the call may come to, with each `*` of 0 to 5 values and each `**` of any left names."""
    stars = sum(arg is None for arg in call.args)
    named = {name: value for name, value in call.keywords if name is not None}
    left = [name for name in (*NAMES, ELSE) if name not in named]
    unpacks = any(name is None for name, _ in call.keywords)
    mappings = chain.from_iterable(
        combinations(left, size) for size in range(len(left) + 1 if unpacks else 1)
    )
    for counts, names in product(product(range(6), repeat=min(stars, 2)), list(mappings)):
        lengths = iter((*counts, *(0 for _ in range(stars))))
        args = [
            value for arg in call.args for value in ([BEHIND_STAR] * next(lengths) if arg is None else [arg])
        ]
        yield args, {**named, **dict.fromkeys(names, BEHIND_STARS)}


def outcomes(signature: str, call: Written) -> list[dict[str, object]]:
    """What Python gives to the parameters, but for defaults and empty rests, for each way that it takes."""
    called = function(signature)
    found = []
    for args, keywords in runs(call):
        try:
            received = called(*args, **keywords)
        except TypeError:
            continue
        found.append({name: value for name, value in received.items() if value})
    return found


def lowered(call: Written) -> tuple[tuple[Expr, ...], tuple[tuple[str | None, Expr], ...]]:
    args = tuple(Star(Name("*")) if arg is None else Name(arg) for arg in call.args)
    return args, tuple((name, Name(value)) for name, value in call.keywords)


@given(signatures(), written_calls())
def test_a_call_fits_if_python_takes_it_in_any_way(signature: str, call: Written):
    assert bind(params_of(signature), *lowered(call)).fits is bool(outcomes(signature, call))


@given(signatures(), written_calls())
def test_what_a_parameter_is_given_python_gives_it_always(signature: str, call: Written):
    params, ways = params_of(signature), outcomes(signature, call)
    bound = bind(params, *lowered(call))
    for place, value in bound.given.items() if ways else ():
        assert isinstance(value, Name)
        assert {way[params[place].name] for way in ways} == {value.id}


@given(signatures(), written_calls())
def test_an_open_parameter_is_one_that_python_gives_now_this_now_that(signature: str, call: Written):
    params, ways = params_of(signature), outcomes(signature, call)
    bound = bind(params, *lowered(call))
    certain = {*receives(params, *lowered(call))}
    sometimes = {place for place, param in enumerate(params) if any(way.get(param.name) for way in ways)}
    assert not ways or bound.open | certain == sometimes


@given(signatures(), written_calls().filter(lambda call: None not in call.args))
def test_without_a_star_args_and_kwargs_are_what_python_makes_of_them(signature: str, call: Written):
    plain = Written(call.args, tuple(each for each in call.keywords if each[0] is not None))
    params, ways = params_of(signature), outcomes(signature, plain)
    found = receives(params, *lowered(plain))
    assert not ways or {params[place].name: valued(value) for place, value in found.items()} == ways[0]


def valued(expr: Expr) -> object:
    match expr:
        case Name(id=name):
            return name
        case Build(kind="tuple", items=items):
            return tuple(map(valued, items))
        case Build(kind="dict", items=items):
            texts = [item.text if isinstance(item, Const) else valued(item) for item in items]
            return dict(zip(texts[::2], texts[1::2], strict=True))
    raise AssertionError(expr)


def received(signature: str, call: str) -> dict[str, Expr]:
    """What the parameters of a function surely receive in a call, by name."""
    params = params_of(signature)
    step = next(
        step
        for step in lower(libcst.parse_module(f"f({call})\n")).functions[0].steps
        if isinstance(step, Call)
    )
    return {params[place].name: value for place, value in receives(params, step.args, step.keywords).items()}


def test_what_is_handed_on_behind_a_star_is_what_args_receives():
    assert received("a, *args", "1, *values") == {
        "a": Const("int", "1"),
        "args": Build("tuple", (Star(Name("values")),)),
    }


def test_behind_a_star_no_argument_has_a_place():
    assert received("a, b, *args", "*values, 1") == {}


def test_what_a_mapping_is_handed_on_with_stays_in_kwargs_if_nothing_else_can_take_it():
    assert received("a, /, **kwargs", "1, b=2, **more") == {
        "a": Const("int", "1"),
        "kwargs": Build("dict", (Const("str", "b"), Const("int", "2"), Star(Name("more")))),
    }


def test_a_positional_only_parameter_leaves_its_name_to_kwargs():
    assert received("a, /, **kwargs", "1, a=2") == {
        "a": Const("int", "1"),
        "kwargs": Build("dict", (Const("str", "a"), Const("int", "2"))),
    }


def tabled(names: tuple[str, ...], which: str, call: str) -> tuple[Expr, ...]:
    """What a call gives to a parameter of a library function that a table tells of."""
    steps = lower(libcst.parse_module(f"f({call})\n")).functions[0].steps
    step = next(step for step in steps if isinstance(step, Call))
    return given_by_table(names, which, step.args, step.keywords)


@pytest.mark.parametrize(
    ("names", "which", "call", "found"),
    [
        (("coro", "timeout"), "0", "x, y", "x"),
        (("coro", "timeout"), "timeout", "x, y", "y"),
        (("coro", "timeout"), "1", "x, timeout=y", "y"),
        (("coro", "timeout"), "2", "x, y, z", "z"),
        ((), "1", "x, y", "y"),
        ((), "loop", "x, loop=y", "y"),
        (("coro",), "1", "*x, y", None),
        (("coro",), "coro", "*x", None),
        (("coro",), "coro", "**x", None),
        (("*", "return_exceptions"), "return_exceptions", "x, return_exceptions=y", "y"),
        (("*", "return_exceptions"), "return_exceptions", "x, y", None),
        (("*", "return_exceptions"), "1", "x, y, return_exceptions=z", "y"),
    ],
)
def test_an_operand_of_a_table_is_found_by_position_and_by_name(
    names: tuple[str, ...], which: str, call: str, found: str | None
):
    assert tabled(names, which, call) == (() if found is None else (Name(found),))
