"""How control leaves a construct before its end, and the constructs that it has to pass.

Code leaves a `try` or `with` by more than its end: an exception or a cancellation travels through
it, a `return`, `break` or `continue` jumps out of it. Language definitions call that an abrupt
*completion*. It passes the enclosing constructs from the inside out, and the first that has
something to do (a handler, a `finally`, an exit) receives it.
"""

from typing import NamedTuple, TypeAlias

from cancellint.model.ir import CANCEL_EXIT, RAISE_EXIT, RETURN_EXIT, Expr, Leaves


class Label:
    """A block under construction. It can be jumped to before it is placed."""

    __slots__ = ("cleanup", "edges", "first", "last", "number", "reached", "regions", "test")

    def __init__(self) -> None:
        self.first = -1
        self.last = -1
        self.edges: tuple[tuple[Target, Leaves], ...] = ()
        self.test: Expr | None = None
        self.regions: tuple[int, ...] = ()
        self.cleanup = False
        self.reached = False
        self.number = -1


Target: TypeAlias = Label | int
"""A block, or one of the function's exits."""


class Completion(NamedTuple):
    """An abrupt completion. `loop` tells `break` and `continue` of different loops apart."""

    leaves: Leaves
    loop: int = -1
    again: bool = False


RAISED = Completion(Leaves.RAISED)
CANCELLED = Completion(Leaves.CANCELLED)
RETURNED = Completion(Leaves.RETURNED)

_EXITS = {Leaves.RAISED: RAISE_EXIT, Leaves.CANCELLED: CANCEL_EXIT, Leaves.RETURNED: RETURN_EXIT}


class Nesting:
    """An enclosing construct; one that lets everything pass unless a subclass says otherwise."""

    __slots__ = ("parent",)

    def __init__(self, parent: "Nesting | None") -> None:
        self.parent = parent

    def receive(self, completion: Completion) -> Label | None:
        """Where this construct takes over, or None if it lets the completion pass."""
        return None


class LoopNesting(Nesting):
    """The body of a loop."""

    __slots__ = ("broken", "identity", "next_turn")

    def __init__(self, parent: Nesting | None, identity: int, next_turn: Label, broken: Label) -> None:
        super().__init__(parent)
        self.identity = identity
        self.next_turn = next_turn
        self.broken = broken

    def receive(self, completion: Completion) -> Label | None:
        if completion.loop != self.identity:
            return None
        return self.next_turn if completion.again else self.broken


class Guarded(Nesting):
    """The body of a `try` with handlers, which receives exceptions and perhaps cancellations."""

    __slots__ = ("catches_cancellation", "completions")

    def __init__(self, parent: Nesting | None, catches_cancellation: bool) -> None:
        super().__init__(parent)
        self.catches_cancellation = catches_cancellation
        self.completions: dict[Completion, Label] = {}

    def receive(self, completion: Completion) -> Label | None:
        if completion is RAISED or (completion is CANCELLED and self.catches_cancellation):
            return self.completions.setdefault(completion, Label())
        return None


class Cleanup(Nesting):
    """The body of a `try` with `finally`, or of a `with`: something runs at every completion.

    Each completion has a copy of its own, so that facts of one do not leak into another; a shared
    cleanup has one copy for all, which bounds how often `finally` inside `finally` is copied.
    """

    __slots__ = ("completions", "shared")

    def __init__(self, parent: Nesting | None, shared: bool = False) -> None:
        super().__init__(parent)
        self.shared = Label() if shared else None
        self.completions: dict[Completion, Label] = {}

    def receive(self, completion: Completion) -> Label | None:
        label = self.completions.get(completion)
        if label is None:
            label = self.completions[completion] = self.shared or Label()
        return label

    def copies(self) -> list[tuple[Label, tuple[Completion, ...]]]:
        """The copies to make, each with the completions it serves, in the order they were asked for."""
        if self.shared is not None:
            return [(self.shared, tuple(self.completions))]
        return [(label, (completion,)) for completion, label in self.completions.items()]


class Handling(Nesting):
    """A handler's body, or a `finally` that an exception runs: a bare `raise` goes on with `completions`."""

    __slots__ = ("caught", "completions")

    def __init__(
        self, parent: Nesting | None, completions: tuple[Completion, ...], caught: str | None
    ) -> None:
        super().__init__(parent)
        self.completions = completions
        self.caught = caught


def leave(frame: Nesting | None, completion: Completion) -> Target:
    """Where control goes when it leaves `frame` and everything around it by this completion."""
    while frame is not None:
        label = frame.receive(completion)
        if label is not None:
            return label
        frame = frame.parent
    return _EXITS[completion.leaves]


def handling(frame: Nesting | None, caught: str | None = None) -> Handling | None:
    """The innermost handler whose body this is; given a name, the innermost that has caught it so."""
    while frame is not None:
        if isinstance(frame, Handling) and caught in (None, frame.caught):
            return frame
        frame = frame.parent
    return None
