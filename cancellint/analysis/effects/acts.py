"""Acts: what a step takes on that is to be undone, and what it undoes.

Flags, counters and entries of containers are read off the code itself; locks, pools and connections off
the library tables; helpers off their summaries. A name is believed only where nothing better is known.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec import structs

from cancellint.analysis.effects.effect import Effect
from cancellint.analysis.effects.operations import Known, Operations
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.library.conventions import Conventions
from cancellint.analysis.memory.access_paths import Frame
from cancellint.model.finding import Confidence
from cancellint.model.ir import (
    Assign,
    Attr,
    Call,
    Const,
    Delete,
    Expr,
    Function,
    Item,
    Name,
    Op,
    Return,
    Step,
    Temp,
)
from cancellint.model.knowledge import LockKind, Role
from cancellint.model.summary import RESULT, Act, Path, Verb
from cancellint.model.types import Callee, LibraryCallee, UnresolvedCallee

UNDOES = frozenset({Verb.RELEASES, Verb.RESETS, Verb.LOWERS, Verb.REMOVES, Verb.CLOSES})
"""The verbs that discharge something."""

UNDONE_BY = {
    Verb.ACQUIRES: Verb.RELEASES,
    Verb.SETS: Verb.RESETS,
    Verb.RAISES: Verb.LOWERS,
    Verb.ADDS: Verb.REMOVES,
}
"""Which verb undoes which."""

UNNAMED_OWNER = Path("const:owner")
"""What something goes back to, where the code has no name for it."""

MOST_ACTS = Limit(60, "acts of one function that its callers are told of")
"""Acts of one function that its callers are told of; the undoing ones come first."""

SAID = (Verb.SENDS, Verb.RECEIVES)
"""What a function may do to a connection matters to its callers, be it on some of its ways only."""

_ADDERS = frozenset({"append", "appendleft", "add", "insert"})
_REMOVERS = frozenset({"remove", "discard", "pop", "popleft", "popitem", "clear"})
_CONTAINERS = ("builtins.list.", "builtins.set.", "builtins.dict.", "collections.")


# --------------------------------------------------------------------------- of calls


def acts_of_known(
    operations: Operations, frame: Frame, callee: Callee, known: Known, of: Path
) -> Iterator[Act]:
    """Yield the acts of a library call that the tables know; `of` is what its role acts on."""
    roles = known.entry.roles
    owner = known.name.rpartition(".")[0]
    pool = frame.path(callee.receiver) if callee.receiver is not None else None
    blocks = operations.lock_kind(owner) is LockKind.THREAD
    if Role.ACQUIRES in roles and not blocks:
        item = None if of == pool or Role.CONSTRUCTS in roles else pool
        yield Act(Verb.ACQUIRES, of, item, known.confidence)
    if Role.RELEASES in roles and not blocks:
        yield Act(Verb.RELEASES, of, None if of == pool else pool, known.confidence)
    if Role.CLOSES in roles:
        yield Act(Verb.CLOSES, of, None, known.confidence)
    if Role.SENDS in roles and Role.BLOCKS not in roles:
        yield Act(Verb.SENDS, of, None, known.confidence)
    if Role.CONSUMES in roles and operations.sends_too(owner):
        yield Act(Verb.RECEIVES, of, None, known.confidence)


def acts_of_container(frame: Frame, callee: Callee) -> Iterator[Act]:
    """Yield what a method of a plain container, or one called like it, adds or removes."""
    match callee:
        case LibraryCallee(name=name) if name.startswith(_CONTAINERS):
            method = name.rpartition(".")[2]
        case UnresolvedCallee(method=str(method)):
            pass
        case _:
            return
    place = frame.path(callee.receiver) if callee.receiver is not None else None
    if place is None:
        return
    entry = callee.args[-1:] if method == "insert" else callee.args[:1]
    item = _entry(frame, entry[0]) if entry else None
    if method in _ADDERS:
        yield Act(Verb.ADDS, place, item)
    elif method in _REMOVERS:
        yield Act(Verb.REMOVES, place, None if method in ("popleft", "clear") else item)


def acts_by_name(
    conventions: Conventions, frame: Frame, method: str | None, callee: Callee, used: bool
) -> Iterator[Act]:
    """Yield what a call of unknown effect is named for: it releases, closes, sends, receives or acquires."""
    receiver = frame.path(callee.receiver) if callee.receiver is not None else None
    if method is None:
        return
    if method in conventions.gives_back:
        given = [path for value in callee.args if (path := frame.path(value)) is not None]
        if given:
            yield Act(Verb.RELEASES, given[0], receiver or UNNAMED_OWNER, Confidence.LIKELY)
        elif receiver is not None and not callee.args:
            yield Act(Verb.RELEASES, receiver, None, Confidence.LIKELY)
    elif receiver is None or callee.receiver is None:
        return
    elif method in conventions.closes:
        yield Act(Verb.CLOSES, receiver, None, Confidence.LIKELY)
    elif conventions.sends(method, callee.receiver):
        yield Act(Verb.SENDS, receiver, None, Confidence.LIKELY)
    elif conventions.receives(method, callee.receiver):
        yield Act(Verb.RECEIVES, receiver, None, Confidence.LIKELY)
    elif method == "acquire":
        if used:
            yield Act(Verb.ACQUIRES, RESULT, receiver, Confidence.LIKELY)
        else:
            yield Act(Verb.ACQUIRES, receiver, None, Confidence.LIKELY)


# --------------------------------------------------------------------------- of steps


def acts_of_step(frame: Frame, step: Step) -> Iterator[Act]:
    """Yield what an assignment or `del` does to flags, counters and containers."""
    match step:
        case Assign(target=Attr() as target, value=Const(kind=kind, text=text), op=""):
            path = frame.path(target)
            if path is not None and kind == "bool":
                yield Act(Verb.SETS if text == "True" else Verb.RESETS, path)
            elif path is not None and kind == "none":
                yield Act(Verb.RESETS, path)
        case Assign(target=Attr() | Item() as target, op="+" | "-" as op, value=value):
            path = frame.path(target)
            if path is not None and _is_amount(value):
                yield Act(Verb.RAISES if op == "+" else Verb.LOWERS, path)
        case Assign(target=Item(base=base, key=key), op="") if not isinstance(key, Op):
            path = frame.path(base)
            if path is not None:
                yield Act(Verb.ADDS, path, _entry(frame, key))
        case Delete(target=Item(base=base, key=key)) if not isinstance(key, Op):
            path = frame.path(base)
            if path is not None:
                yield Act(Verb.REMOVES, path, _entry(frame, key))
        case _:
            return


def acts_by_step(frame: Frame, function: Function, effects: dict[int, Effect]) -> dict[int, tuple[Act, ...]]:
    """Return the acts of every step that has any; a step's own outcome is named by its number."""
    found: dict[int, tuple[Act, ...]] = {}
    for number, step in enumerate(function.steps):
        effect = effects.get(number)
        acts = effect.acts if effect is not None else tuple(acts_of_step(frame, step))
        if acts:
            found[number] = tuple(_of_outcome(act, number) for act in acts)
    return found


def acts_for_callers(
    function: Function, acts: dict[int, tuple[Act, ...]], sometimes: Callable[[int], bool]
) -> tuple[Act, ...]:
    """Return what a caller needs to know: all that is undone, and what is taken on and not undone here.

    What a call takes on `sometimes` only, as `try_acquire` does, its callers cannot be said to hold.
    """
    undone: dict[Act, None] = {}
    taken: dict[Act, None] = {}
    for number, found in acts.items():
        for act in found:
            if act.verb in UNDOES and act.subject.is_visible_to_callers:
                undone[_for_callers(act)] = None
            elif act.verb not in UNDOES:
                kept = _taken_on(function, number, act)
                if kept is not None and (act.verb in SAID or not sometimes(number)):
                    taken[_for_callers(kept)] = None
    settled = {(act.verb, act.subject) for act in undone}
    left = [act for act in taken if (UNDONE_BY.get(act.verb), act.subject) not in settled]
    return (*_nearest(act for act in undone if not _is_balanced(act, acts)), *_nearest(left))


def may_concern_callers(act: Act) -> bool:
    """Tell whether a caller may know the object, or be given it."""
    return act.subject.is_visible_to_callers or act.verb is Verb.ACQUIRES


def _is_balanced(undone: Act, acts: dict[int, tuple[Act, ...]]) -> bool:
    """Tell whether a release, or a lowering, only makes up for what the function has taken on itself."""
    return undone.verb in (Verb.RELEASES, Verb.LOWERS) and any(
        UNDONE_BY.get(act.verb) is undone.verb and act.subject == undone.subject
        for found in acts.values()
        for act in found
    )


def _nearest(acts: Iterable[Act]) -> Iterator[Act]:
    """Yield the acts, each only through the fewest calls, those on the nearest objects first."""
    seen: set[Act] = set()
    for act in sorted(acts, key=_order):
        if (bare := structs.replace(act, calls=0)) in seen:
            continue
        if MOST_ACTS.is_exceeded_by(len(seen) + 1):
            return
        seen.add(bare)
        yield act


def _taken_on(function: Function, number: int, act: Act) -> Act | None:
    """Return an act as callers see it: on an object they know, or on what is returned to them."""
    if act.subject.is_visible_to_callers:
        return act
    if act.verb is Verb.ACQUIRES and act.subject == Path(f"temp:{number}"):
        returned = any(
            isinstance(step, Return) and _is_outcome(function, step.value, number) for step in function.steps
        )
        return structs.replace(act, subject=RESULT) if returned else None
    return None


def _for_callers(act: Act) -> Act:
    if act.item is None or act.item.is_visible_to_callers:
        return act
    return structs.replace(act, item=None)


def _is_outcome(function: Function, value: Expr, number: int) -> bool:
    """Tell whether a returned value is the outcome of a step, through one variable."""
    if value == Temp(number):
        return True
    return isinstance(value, Name) and any(
        isinstance(step, Assign) and step.target == value and step.value == Temp(number)
        for step in function.steps
    )


def _order(act: Act) -> tuple[int, Path, Verb, Path, int, int]:
    return (
        len(act.subject.fields),
        act.subject,
        act.verb,
        act.item or Path(""),
        act.confidence.rank,
        act.calls,
    )


def _of_outcome(act: Act, number: int) -> Act:
    if act.subject != RESULT:
        return act
    return structs.replace(act, subject=Path(f"temp:{number}"))


def _entry(frame: Frame, expr: Expr) -> Path | None:
    """Return what an entry of a container is known by."""
    if isinstance(expr, Const):
        return Path(f"const:{expr.text}")
    return frame.path(expr)


def _is_amount(value: Expr) -> bool:
    """Tell whether `+= value` counts, rather than appends."""
    match value:
        case Const(kind="int"):
            return True
        case Call() | Const():
            return False
        case _:
            return isinstance(value, Name)
