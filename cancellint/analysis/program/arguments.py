"""Which parameter of a function receives which argument of a call, by Python's own rules.

A `*` or `**` among the arguments may give any parameter that nothing else gives. A bound method is called
with its receiver, and a `partial` with what it was made with, in front of the other arguments.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Generic, TypeVar

from msgspec import Struct

from cancellint.model.ir import Build, Const, Expr, Param, Star
from cancellint.model.types import ProjectCallee

V = TypeVar("V")

ELSEWHERE = Const("ellipsis", "...")
"""Stands for a value that has no expression in the caller's frame."""

_NAMED = ("positional", "keyword")
"""Kinds of parameters that can be given by name."""


class Bound(Struct, Generic[V], frozen=True):
    """What a call gives to the parameters of a function, each known by its place among them."""

    given: Mapping[int, V]
    """what the named parameters surely receive"""
    rest: tuple[V, ...]
    """what `*args` surely receives"""
    extra: tuple[tuple[str | None, V], ...]
    """what `**kwargs` surely receives"""
    open: frozenset[int]
    """the parameters that may receive something, or more, from behind a `*` or `**`: nobody knows which do"""
    fits: bool
    """Python takes the call, at least with some contents of what stands behind `*` and `**`"""


def bind(
    params: Sequence[Param], args: Sequence[V], keywords: Collection[tuple[str | None, V]] = ()
) -> Bound[V]:
    """Return what each parameter receives. `*values` is a `Star`; the name of `**mapping` is None."""
    if not keywords and _are_all_by_place(params, args):
        fits = not any(param.is_required for param in params[len(args) :])
        return Bound(dict(enumerate(args)), (), (), frozenset(), fits)
    positional = [place for place, param in enumerate(params) if param.is_positional]
    plain = next((number for number, value in enumerate(args) if isinstance(value, Star)), len(args))
    given = dict(zip(positional, args[:plain], strict=False))
    by_place = len(given)
    named = {param.name: place for place, param in enumerate(params) if param.kind in _NAMED}
    left, twice = [], False
    for name, value in keywords:
        place = named.get(name) if name is not None else None
        if place is None:
            left.append((name, value))
        else:
            twice |= place in given
            given.setdefault(place, value)
    by_star = _behind_star(args[by_place:], positional[by_place:], given, _place_of(params, "varargs"))
    by_mapping = _behind_mapping(left, named.values() - given.keys(), _place_of(params, "varkwargs"))
    open_ = by_star.open | by_mapping.open
    missing = any(
        param.is_required and place not in given and place not in open_ for place, param in enumerate(params)
    )
    fits = not (twice or missing) and by_star.fits and by_mapping.fits
    return Bound(given, by_star.values, by_mapping.values, open_, fits)


def receives(
    params: Sequence[Param], args: Sequence[Expr], keywords: Collection[tuple[str | None, Expr]] = ()
) -> dict[int, Expr]:
    """Return the expression that each parameter surely receives, displays for `*args` and `**kwargs`."""
    bound = bind(params, args, keywords)
    found = dict(bound.given)
    for place, param in enumerate(params):
        if param.kind == "varargs" and bound.rest:
            found[place] = Build("tuple", bound.rest)
        elif param.kind == "varkwargs" and bound.extra:
            found[place] = Build("dict", tuple(_items(bound.extra)))
    return found


def given(
    names: tuple[str, ...], which: str, args: Sequence[V], keywords: Collection[tuple[str | None, V]]
) -> tuple[V, ...]:
    """Return the argument of a position (`"0"`) or name, nothing where none is visibly given.

    `names` are those of the parameters that a table knows of, there may be more; those after a `"*"` can only
    be given by name.
    """
    bound = bind(_tabled(names), args, keywords)
    if not which.isdecimal() and which not in names:
        return tuple(value for name, value in bound.extra if name == which)
    positional = names.index("*") if "*" in names else len(names)
    place = int(which) if which.isdecimal() else names.index(which)
    if which.isdecimal() and place >= positional:
        plain = tuple(takewhile(lambda value: not isinstance(value, Star), bound.rest))
        return plain[place - positional :][:1]
    return (bound.given[place],) if place in bound.given else ()


@cache
def _tabled(names: tuple[str, ...]) -> tuple[Param, ...]:
    """Return the signature of a library function of which a table knows these parameters."""
    after = names.index("*") if "*" in names else len(names)
    positional = (Param(name, "positional", None, ELSEWHERE) for name in names[:after])
    by_name = (Param(name, "keyword", None, ELSEWHERE) for name in names[after + 1 :])
    rest, extra = Param("", "varargs", None, None), Param("", "varkwargs", None, None)
    return (*positional, rest, *by_name, extra)


def positional_arguments(callee: ProjectCallee) -> tuple[Expr, ...]:
    """Return the positional arguments of a call of a project function, with the object it is a method of."""
    if callee.constructs:
        return (ELSEWHERE, *callee.args)
    return callee.args if callee.receiver is None else (callee.receiver, *callee.args)


def _are_all_by_place(params: Sequence[Param], args: Sequence[object]) -> bool:
    """Tell whether each argument has its parameter by place, as in most calls."""
    return (
        len(args) <= len(params)
        and all(param.is_positional for param in params[: len(args)])
        and not any(isinstance(value, Star) for value in args)
    )


class _Left(Struct, Generic[V], frozen=True):
    """What becomes of the arguments that no named parameter surely receives."""

    values: tuple[V, ...]
    open: frozenset[int]
    fits: bool


def _behind_star(
    values: Sequence[V], following: Sequence[int], given: Container[int], varargs: int | None
) -> _Left[V]:
    """Return where positional arguments go: a parameter that is given by name is as far as they reach."""
    reached = list(takewhile(lambda place: place not in given, following))
    beyond = varargs if len(reached) == len(following) else None
    plain = sum(not isinstance(value, Star) for value in values)
    fits = beyond is not None or plain <= len(reached)
    if reached and values:
        return _Left((), frozenset(reached if beyond is None else (*reached, beyond)), fits)
    return _Left(() if beyond is None else tuple(values), frozenset(), fits)


def _behind_mapping(
    keywords: Sequence[tuple[str | None, V]], left: Collection[int], varkwargs: int | None
) -> _Left[tuple[str | None, V]]:
    """Return where keywords go that are no parameter's name; a `**` may give any that is left by name."""
    named = tuple(each for each in keywords if each[0] is not None)
    fits = varkwargs is not None or not named
    if left and len(named) < len(keywords):
        return _Left(named, frozenset(left if varkwargs is None else (*left, varkwargs)), fits)
    return _Left(tuple(keywords), frozenset(), fits)


def _place_of(params: Sequence[Param], kind: str) -> int | None:
    return next((place for place, param in enumerate(params) if param.kind == kind), None)


def _items(extra: Iterable[tuple[str | None, Expr]]) -> Iterator[Expr]:
    for name, value in extra:
        if name is None:
            yield Star(value)
        else:
            yield Const("str", name)
            yield value
