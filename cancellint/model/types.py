"""What the tool knows of a value: its type, and which function a call reaches."""

from typing import TypeAlias

from msgspec import Struct

from cancellint.model.ir import Expr
from cancellint.model.source import Site


class _Type(Struct, frozen=True, gc=False, tag=True):
    pass


class FunctionKey(Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """A project function: the dotted name of its module and its index in `Module.functions`."""

    module: str
    function: int


class CallSite(Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """A call step inside a project function."""

    function: FunctionKey
    step: int


def site_of(at: CallSite) -> Site:
    """Return the place of a call."""
    return site_at(at.function, at.step)


def site_at(function: FunctionKey, step: int) -> Site:
    """Return the place of a step; -1 is the function's own `def`."""
    return Site(function.module, function.function, step)


class Unknown(_Type, frozen=True):
    """Nothing is known."""


class NoneValue(_Type, frozen=True):
    """The value None."""


class Instance(_Type, frozen=True):
    """An object of a class, by its canonical dotted name, of the project or of a library.

    `made_at` is the step of the constructor call where that is known: two locks of one class are
    told apart by it.
    """

    cls: str
    args: tuple["Type", ...] = ()
    made_at: CallSite | None = None


class ClassObject(_Type, frozen=True):
    """A class itself. Calling it makes an `Instance`; unless `exact`, perhaps one of a subclass."""

    cls: str
    args: tuple["Type", ...] = ()
    exact: bool = True


class ProjectFunction(_Type, frozen=True):
    """A function, lambda or bound method of the project.

    `receiver` is the expression, in the frame of `frame`, that the method is bound to; `leading` and
    `keywords` are what `functools.partial` has already supplied, in the same frame.
    """

    key: FunctionKey
    bound: bool = False
    receiver: Expr | None = None
    frame: FunctionKey | None = None
    leading: tuple[Expr, ...] = ()
    keywords: tuple[tuple[str, Expr], ...] = ()


class LibraryFunction(_Type, frozen=True):
    """A function or bound method of a library, under its canonical dotted name (`asyncio.Queue.get`).

    `bound`, `receiver`, `frame`, `leading`, `keywords` as in `ProjectFunction`.
    """

    name: str
    bound: bool = False
    receiver: Expr | None = None
    frame: FunctionKey | None = None
    leading: tuple[Expr, ...] = ()
    keywords: tuple[tuple[str, Expr], ...] = ()


class ModuleObject(_Type, frozen=True):
    """A module, of the project or of a library, by dotted name."""

    name: str


class TupleOf(_Type, frozen=True):
    """A tuple of known shape."""

    items: tuple["Type", ...]


class Pending(_Type, frozen=True):
    """A coroutine, future or async generator object that a call made and that nobody has awaited yet.

    `result` is what awaiting it gives. `site` is the call that made it; `task` tells that it already
    runs as a task (`create_task(f())` has the site of `f()`), `spawned_at` where it was started.
    """

    result: "Type"
    site: CallSite
    task: bool = False
    spawned_at: CallSite | None = None


class Either(_Type, frozen=True):
    """One of several types, ordered by first appearance, without duplicates or nesting."""

    options: tuple["Type", ...]


Type: TypeAlias = (
    Unknown
    | NoneValue
    | Instance
    | ClassObject
    | ProjectFunction
    | LibraryFunction
    | ModuleObject
    | TupleOf
    | Pending
    | Either
)
"""Containers are `Instance("list", (element,))`, likewise set, dict, collections.deque, asyncio.Queue …"""


class ProjectCallee(Struct, frozen=True, gc=False):
    """A call reaches this project function.

    `receiver` is what `self` (or `cls`) is, as an expression in the caller's frame: None for plain
    functions, and for a constructor call, where `constructs` is set and `self` is the call's result.
    `args` and `keywords` are the call's full arguments in the caller's frame, `partial`'s included.
    """

    key: FunctionKey
    receiver: Expr | None
    constructs: bool
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str | None, Expr], ...]


class LibraryCallee(Struct, frozen=True, gc=False):
    """A call reaches this library function or method, by canonical name; it need not have an entry.

    A constructor call of a library class has the class's own name.
    """

    name: str
    receiver: Expr | None
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str | None, Expr], ...]


class UnresolvedCallee(Struct, frozen=True, gc=False):
    """Nothing is known but, perhaps, the name: `method` of `receiver`, or a parameter or variable called."""

    method: str | None
    receiver: Expr | None
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str | None, Expr], ...]


Callee: TypeAlias = ProjectCallee | LibraryCallee | UnresolvedCallee
