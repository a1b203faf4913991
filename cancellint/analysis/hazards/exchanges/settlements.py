"""What settles an exchange that a cancellation has torn, and what hands its connection to others instead."""

from collections.abc import Iterator

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.reachability import after_step, precedes
from cancellint.analysis.flow.cancellation_paths import (
    CancellationPath,
    cancellation_path,
    error_handlers,
    steps_only_through,
)
from cancellint.analysis.flow.connections import Group
from cancellint.analysis.flow.exchanges import ends, replies
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.program.expressions import last_name
from cancellint.model.finding import Confidence, firmest
from cancellint.model.ir import Assign, Attr, Await, AwaitKind, Call, Exit, Name, Temp
from cancellint.model.summary import Act, Path, Verb


def is_settled(facts: Facts, step: int, group: Group) -> bool:
    """Tell whether the cancellation path closes the connection, marks it, or reads the reply after all."""
    operations = facts.effect(step).operations
    if operations and all(operation.shielded for operation in operations):
        return True
    if not isinstance(facts.function.steps[step], Await):
        return False
    way = cancellation_path(facts, facts.block_of(step))
    if way is None or not way.leaves:
        return True
    usual = _usual_acts(facts, step)
    if _is_marked(facts, step, group, usual, way):
        return True
    return any(_settles(facts, each, group, usual) for each in way.steps)


def _is_marked(facts: Facts, step: int, group: Group, usual: frozenset[Act], way: CancellationPath) -> bool:
    """Tell whether a flag says that a reply is awaited: set before, set back after it, and only then."""
    back = {_flag(act) for act in usual if group.has_as_flag(act.subject)}
    kept = back - {_flag(act) for each in way.steps for act in facts.acts.get(each, ())}
    return any(
        (_OPPOSITE.get(act.verb), act.subject) in kept
        for number, acts in facts.acts.items()
        if precedes(facts.flow, number, step)
        for act in acts
    )


_OPPOSITE = {Verb.SETS: Verb.RESETS, Verb.RESETS: Verb.SETS}


def _flag(act: Act) -> tuple[Verb | None, Path]:
    return act.verb, act.subject


def is_closed_on_error(facts: Facts, step: int, group: Group) -> bool:
    """Tell whether a handler of ordinary errors closes the connection: the author knows what it is in."""
    return any(
        ends(facts, each, group)
        for handler in error_handlers(facts, facts.block_of(step))
        for each in steps_only_through(facts, handler)
    )


def _settles(facts: Facts, step: int, group: Group, usual: frozenset[Act]) -> bool:
    """Tell whether a step on the cancellation path leaves no reply behind for others to read.

    A flag that is set just so where nothing was cancelled, `usual`, says nothing about the connection.
    """
    if given_back(facts, step, group) is not None:
        return False
    if ends(facts, step, group) or _may_end_lease(facts, step, group):
        return True
    if any(reply.step == step and _is_end(reply.source, group) for reply in replies(facts)):
        return True
    return any(
        act.verb in (Verb.SETS, Verb.RESETS) and group.has_as_flag(act.subject) and act not in usual
        for act in facts.acts.get(step, ())
    )


def _is_end(path: Path, group: Group) -> bool:
    return path in (group.reply, group.request)


def given_back(facts: Facts, step: int, group: Group) -> Confidence | None:
    """Return how firmly a step puts the connection where others take it from, None where it does not."""
    names = {group.shared, *_other_names(facts, group.shared)}
    named = Confidence.LIKELY if _is_named_for_giving_back(facts, step) else Confidence.POSSIBLE
    node = facts.function.steps[step]
    leaves = isinstance(node, Exit) or (isinstance(node, Await) and node.kind is AwaitKind.EXIT)
    if leaves and any(act.verb is Verb.CLOSES for act in facts.acts.get(step, ())):
        return None  # it is told of the exception, and may well close the connection then
    for act in facts.acts.get(step, ()):
        released = act.verb is Verb.RELEASES and (act.subject in names or act.item in names)
        put_back = act.verb is Verb.ADDS and act.item in names and act.subject.is_visible_to_callers
        if released or put_back:
            said = Confidence.LIKELY if released else named
            return firmest(act.confidence, said)
    return Confidence.LIKELY if _leaves_lease(facts, step, group) else None


def _leaves_lease(facts: Facts, step: int, group: Group) -> bool:
    """Tell whether a step leaves the `with` whose `as` is the connection, and gives something back."""
    match facts.function.steps[step]:
        case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
            entered = f"temp:{facts.function.regions[region].enter}"
            acts = facts.acts.get(step, ())
            return group.shared.root == entered and any(
                act.verb in (Verb.RELEASES, Verb.ADDS) for act in acts
            )
        case _:
            return False


def _may_end_lease(facts: Facts, step: int, group: Group) -> bool:
    """Tell whether the `with` whose `as` is the connection closes something when it is left."""
    match facts.function.steps[step]:
        case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
            entered = f"temp:{facts.function.regions[region].enter}"
            closes = any(act.verb is Verb.CLOSES for act in facts.acts.get(step, ()))
            return closes and group.shared.root == entered
        case _:
            return False


def _is_named_for_giving_back(facts: Facts, step: int) -> bool:
    """Tell whether a call says that it gives something back, whichever of several methods it reaches."""
    node = facts.function.steps[step]
    if isinstance(node, Await) and isinstance(node.value, Temp):
        node = facts.function.steps[node.value.step]
    return isinstance(node, Call) and last_name(node.func) in facts.conventions.gives_back


def _other_names(facts: Facts, connection: Path) -> Iterator[Path]:
    """Yield what else a local connection is known by: variables, and attributes that have it too."""
    if connection.fields or not connection.root.startswith(("local:", "temp:")):
        return
    for step in facts.function.steps:
        if not isinstance(step, Assign) or step.op:
            continue
        target, value = facts.frame.path(step.target), facts.frame.path(step.value)
        if value == connection and target is not None:
            yield target
        elif target == connection and value is not None and isinstance(step.value, Attr):
            yield value
        if isinstance(step.target, Name) and step.value == Temp(_made(connection)):
            yield Path(f"local:{step.target.id}")


def _made(connection: Path) -> int:
    return int(connection.root.removeprefix("temp:")) if connection.root.startswith("temp:") else -1


def _usual_acts(facts: Facts, step: int) -> frozenset[Act]:
    """Return what is done after an await has come back, be it in another copy of a `finally`."""
    _, blocks = after_step(facts.flow, step, NORMAL)
    return frozenset(act for number in facts.flow.steps_of(blocks) for act in facts.acts.get(number, ()))
