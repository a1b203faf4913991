"""The intermediate representation: what cancellation cares about, and nothing else.

A `Module` is a function of the bytes of one file. Names in it are symbolic; linking them to
other files is a later step, so a new file elsewhere never makes a stored `Module` stale.

A `Function` is a control-flow graph. Its steps lie in one flat tuple, in evaluation order, and
a step is known by its index there (its *number*). A block is a range of that tuple. There are no
positions: the front end rebuilds them from step numbers, only in files that have a finding.

Block 0 is the entry. Nothing else is promised about the numbers of blocks and steps, and nothing may rely
on more: within one block a lower step runs first, across blocks only edges tell what runs before what.
Loops and back edges are what dominators say they are (`analysis/engine`).

An expression is evaluated where the step stands that uses it. A read that happens earlier, with a suspension
of the same expression in between, is a step of its own: in `f(self.n, await g())` and `self.n += await g()`
a `Load` before the await reads `self.n`. What a call in the same expression may change in between is not
told so, and the object that a method is called on, or a subscript taken of, is looked up where it is used.

Everything here is immutable, ordered and made of built-in values, so that equal bytes give
equal, equally ordered IR whatever the hash seed. `msgspec.Struct` is used instead of a frozen
dataclass because these records are created by the hundred thousand and cross process borders.
"""

import enum
from typing import TypeAlias

from msgspec import Struct


class _Node(Struct, frozen=True, gc=False, tag=True, tag_field="node", array_like=True):
    """Common settings of all records: immutable, untracked by the collector, compact on the wire."""


# --------------------------------------------------------------------------- expressions
# Expressions are free of effects. Whatever calls, suspends or binds is a step, and the expression
# that uses its outcome refers to it as `Temp(step)`.


class Name(_Node, frozen=True):
    """A variable read by name: local, of an enclosing function, global or builtin."""

    id: str


class Attr(_Node, frozen=True):
    """An attribute read, `base.name`."""

    base: "Expr"
    name: str


class Item(_Node, frozen=True):
    """A subscript read, `base[key]`. A slice is `Op("slice", (lower, upper, step))`."""

    base: "Expr"
    key: "Expr"


class Const(_Node, frozen=True):
    """A literal. `None`, booleans, numbers and strings are kept; bytes as `b"..."` text in `kind="bytes"`.

    kind is one of: none, bool, int, float, complex, str, bytes, ellipsis. `text` is the value as
    text, normalised (`"-1"`, `"True"`), so that equal values are equal here.
    """

    kind: str
    text: str


class Temp(_Node, frozen=True):
    """The outcome of an earlier step of the same function (a call, an await, a yield, a next, a load)."""

    step: int


class Op(_Node, frozen=True):
    """A computation without effect of its own.

    op is the Python operator (`+`, `==`, `not`, `in`, `is not`, `[:]`-like `slice`), or one of
    `fstring`, `and`, `or`, `ifexp`, `match` (a pattern tested against its first operand).
    """

    op: str
    operands: tuple["Expr", ...]


class Build(_Node, frozen=True):
    """A display. kind: tuple, list, set, dict. A dict's items alternate key and value; `**d` is a `Star`."""

    kind: str
    items: tuple["Expr", ...]


class Star(_Node, frozen=True):
    """`*value` in a display or call, `**value` in a dict display."""

    value: "Expr"


class Element(_Node, frozen=True):
    """One part of an unpacked value: `a, b = value` binds `Element(value, 0)` and `Element(value, 1)`.

    `index` counts from the left (negative from the right, after a starred target); `starred`
    marks the starred target itself, which receives a list.
    """

    value: "Expr"
    index: int
    starred: bool = False


class Closure(_Node, frozen=True):
    """A function object made here: a lambda, a nested `def` or a generator expression.

    `function` indexes `Module.functions`.
    """

    function: int


class ClassRef(_Node, frozen=True):
    """A class object made here. `index` indexes `Module.classes`."""

    index: int


class Imported(_Node, frozen=True):
    """What an import binds. `import a.b as c` binds `Imported("a.b", 0, None)`; `import a.b` binds
    `Imported("a", 0, None)` to `a`; `from ..x import y` binds `Imported("x", 2, "y")`."""

    module: str
    level: int
    name: str | None


Expr: TypeAlias = (
    Name | Attr | Item | Const | Temp | Op | Build | Star | Element | Closure | ClassRef | Imported
)
"""Any effect-free expression."""

# --------------------------------------------------------------------------- steps


class AwaitKind(enum.IntEnum):
    """Which syntax waits."""

    EXPRESSION = 0
    """`await value`"""
    ENTER = 1
    """the enter of `async with value`; its outcome is what `as` binds"""
    EXIT = 2
    """the exit of `async with value`"""
    NEXT = 3
    """one turn of `async for … in value`; its outcome is the item"""
    YIELD_FROM = 4
    """`yield from value` (an old coroutine's await, or a generator's delegation)"""


class Call(_Node, frozen=True):
    """`func(*args, **keywords)`. Calling a coroutine function makes a coroutine; `Await` runs it.

    `used` is False where the call is a whole expression statement, so that its result is dropped.
    A keyword's name is None for `**mapping`.
    """

    func: Expr
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str | None, Expr], ...]
    used: bool


class Await(_Node, frozen=True):
    """A point where the function may be suspended, and cancelled. Always the last step of its block.

    For ENTER and EXIT `value` is the context manager and `region` the region's index; otherwise
    `region` is -1. For NEXT `value` is the iterable (not an item).
    """

    value: Expr
    kind: AwaitKind
    used: bool
    region: int = -1


class Assign(_Node, frozen=True):
    """Binds or stores. `target` is a Name, Attr or Item. `op` is `""` for `=`, else the operator of an
    augmented assignment (`"+"` for `+=`). `read` is then the `Load` of the old value, if that was read
    before `value` suspended, else -1."""

    target: Expr
    value: Expr
    op: str = ""
    read: int = -1


class Load(_Node, frozen=True):
    """Reads `value` before the same expression suspends; `Temp(step)` stands for it afterwards."""

    value: Expr


class Delete(_Node, frozen=True):
    """`del target`. `del buf[:n]` has an `Item` with a slice key."""

    target: Expr


class Yield(_Node, frozen=True):
    """Hands `value` to the consumer; the outcome is what is sent in. Ends its block."""

    value: Expr
    used: bool


class Enter(_Node, frozen=True):
    """The enter of a synchronous `with`; its outcome is what `as` binds."""

    value: Expr
    region: int


class Exit(_Node, frozen=True):
    """The exit of a synchronous `with`. Stands once per way out of the region."""

    value: Expr
    region: int


class Next(_Node, frozen=True):
    """One turn of a synchronous `for … in value`; the outcome is the item. Ends its block."""

    value: Expr


class Catch(_Node, frozen=True):
    """The first step of an except handler; the outcome is the exception.

    `types` are the expressions after `except` (a tuple is flattened), empty for a bare `except`.
    `group` marks `except*`.
    """

    types: tuple[Expr, ...]
    group: bool = False


class Raise(_Node, frozen=True):
    """`raise value`, or with `value=None` a bare `raise`. Ends its block."""

    value: Expr | None


class Return(_Node, frozen=True):
    """Evaluates the returned value; control leaves where the block's edges say (through `finally`)."""

    value: Expr


class Evaluate(_Node, frozen=True):
    """An expression statement that is neither call nor await: its value is dropped."""

    value: Expr


class StarImport(_Node, frozen=True):
    """`from module import *`."""

    module: str
    level: int


Step: TypeAlias = (
    Call
    | Await
    | Assign
    | Delete
    | Yield
    | Enter
    | Exit
    | Next
    | Catch
    | Raise
    | Return
    | Evaluate
    | Load
    | StarImport
)
"""Anything with an effect."""

# --------------------------------------------------------------------------- graph


class Leaves(enum.IntEnum):
    """Why control leaves a block along an edge."""

    __hash__ = int.__hash__  # sets of these are asked at every edge, and an enum's own hash is slow

    NORMAL = 0
    """falls through or jumps"""
    TRUE = 1
    """the block's `test` held"""
    FALSE = 2
    """the block's `test` did not hold"""
    RESUMED = 3
    """the await came back with a value (also: a yield was resumed with one)"""
    CANCELLED = 4
    """a cancellation travels: raised out of an await, or passed on by a handler or exit"""
    RAISED = 5
    """an ordinary exception travels"""
    RETURNED = 6
    """leaves the function with the value of its `Return` (or with None at the end of the body)"""
    ITEM = 7
    """a loop's next turn has an item"""
    EXHAUSTED = 8
    """a loop's iterator has ended"""
    CAUGHT = 9
    """a handler may catch the travelling exception"""
    ABSORBED = 10
    """a context manager's exit may swallow what travels; control goes on after the `with`"""
    CONVERTED = 11
    """a context manager's exit may turn a travelling cancellation into an ordinary exception
    (`async with timeout(...)` raises TimeoutError)"""


RETURN_EXIT = -1
"""Edge target: the function returns."""
RAISE_EXIT = -2
"""Edge target: the function ends with an ordinary exception."""
CANCEL_EXIT = -3
"""Edge target: the function ends cancelled."""


class Edge(_Node, frozen=True):
    """`to` is a block index or one of RETURN_EXIT, RAISE_EXIT, CANCEL_EXIT."""

    to: int
    leaves: Leaves


class Block(_Node, frozen=True):
    """Steps `first <= number < last`, then the edges.

    `test` is the condition that the TRUE and FALSE edges speak of. `regions` are the `with`
    regions this block lies in, outermost first (a region's own Enter, and its Exit, lie outside it).
    `cleanup` tells that it is part of a `finally`.
    """

    first: int
    last: int
    edges: tuple[Edge, ...]
    test: Expr | None = None
    regions: tuple[int, ...] = ()
    cleanup: bool = False


class Region(_Node, frozen=True):
    """The body of one item of a `with` or `async with`.

    `enter` is the number of the step that enters it. `after` is the block that follows the whole
    statement on the normal path, or -1 if nothing can follow.
    """

    value: Expr
    is_async: bool
    enter: int
    after: int


class Param(_Node, frozen=True):
    """kind: positional-only, positional (which may be given by name too), varargs, keyword, varkwargs."""

    name: str
    kind: str
    annotation: Expr | None
    default: Expr | None

    @property
    def is_positional(self) -> bool:
        """Whether it may be given by its place."""
        return self.kind in ("positional-only", "positional")

    @property
    def is_required(self) -> bool:
        """Whether every call has to give it."""
        return self.default is None and self.kind not in ("varargs", "varkwargs")


class Annotation(_Node, frozen=True):
    """`name: type` on a variable or, in a method, on `self.attribute` (then `name` is `self.attribute`)."""

    name: str
    type: Expr


class Function(_Node, frozen=True):
    """One function, lambda, generator expression, class body or module body.

    `qualname` is Python's, without `<locals>` (`Class.method`, `outer.inner`); the module body's is
    `<module>`, a class body's that of the class. `parent` and `cls` index `Module.functions` and
    `Module.classes`: the directly enclosing function or module body, and the class whose body this
    stands in directly (-1: none). String annotations are parsed; an unparsable one stays a `Const`.

    `locals` are the names bound here and not declared global or nonlocal, sorted.
    """

    name: str
    qualname: str
    kind: str
    """function, lambda, genexp, class, module"""
    parent: int
    cls: int
    is_async: bool
    is_generator: bool
    params: tuple[Param, ...]
    returns: Expr | None
    decorators: tuple[Expr, ...]
    locals: tuple[str, ...]
    global_names: tuple[str, ...]
    nonlocal_names: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    contract: str | None
    """`cancel-safe` where a comment `# cancellint: cancel-safe` stands on the `def`"""
    steps: tuple[Step, ...]
    blocks: tuple[Block, ...]
    """Block 0 is the entry."""
    regions: tuple[Region, ...]


class Class(_Node, frozen=True):
    """A class. `body` indexes `Module.functions`; its methods are the functions whose `cls` it is."""

    name: str
    qualname: str
    parent: int
    """the enclosing function or module body, an index of `Module.functions`"""
    outer: int
    """the class this stands in directly, or -1"""
    bases: tuple[Expr, ...]
    keywords: tuple[tuple[str, Expr], ...]
    decorators: tuple[Expr, ...]
    body: int


class Module(_Node, frozen=True):
    """One file. `functions[0]` is the module body."""

    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
    is_stub: bool = False
