"""Cleanup obligations: what the handler of any error cleans up, and the cancellation path does not.

Nothing needs to have been taken on in sight. That a handler closes, releases or marks something before it
raises again is the code's own word that a failure must not leave it as it is.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from cancellint.analysis.effects.acts import UNDOES
from cancellint.analysis.engine.graph import NORMAL, NOT_FAILED
from cancellint.analysis.engine.reachability import precedes, reaches
from cancellint.analysis.flow.cancellation_paths import catch_step
from cancellint.analysis.flow.paths_after_awaits import Belief, PathsAfterAwaits, attribute_of
from cancellint.analysis.hazards.obligations.obligations import (
    MOST_CALLS,
    Debt,
    ObligationKind,
    Witness,
    reads,
)
from cancellint.analysis.program.attributes import Attributes
from cancellint.analysis.summaries.kinds.opens import Opens
from cancellint.model.finding import Confidence
from cancellint.model.ir import Assign, Attr, Const, Element, Leaves, Name, Raise, Temp
from cancellint.model.summary import Act, Path, Replaces, Verb

Undone = tuple[tuple[int, Act], ...]
"""The acts of a handler that count, by step."""


def cleanups(paths: PathsAfterAwaits, attributes: Attributes, told: frozenset[int]) -> Iterator[Debt]:
    """Yield the cleanups that a cancellation misses, once per handler; those in `told` have a debt."""
    search = _Cleanups(paths, attributes)
    seen = set(told)
    for block, await_ in paths.awaits:
        for handler in paths.error_handlers(block):
            caught = catch_step(paths.facts, handler)
            if caught in seen:
                continue
            undone = search.outstanding(block, await_, handler)
            if undone:
                seen.add(caught)
                step, act = min(undone, key=_plainest)
                witness = Witness(step, act, Belief.ANY_ERROR, caught)
                confidence = search.confidence(step, act, handler, await_)
                yield Debt(ObligationKind.CLEANUP, act, -1, await_, witness, confidence)


class _Cleanups:
    """What one function's handlers clean up."""

    def __init__(self, paths: PathsAfterAwaits, attributes: Attributes) -> None:
        self._paths = paths
        self._facts = paths.facts
        self._attributes = attributes

    def outstanding(self, block: int, await_: int, handler: int) -> Undone:
        """Return the acts of a handler that a cancellation misses, none if its path has any of them.

        A cancellation with a handler of its own, that does more than pass it on, has been thought of.
        """
        if self._paths.belief(handler) is not Belief.ANY_ERROR or not self._paths.raises_again(handler):
            return ()
        if self._goes_on(await_) or self._paths.thinks_of_cancellation(block):
            return ()
        touched = self._touched(handler, await_)
        undone = tuple(
            (step, act)
            for step, act in self._paths.acts_in(handler)
            if self._outlives(act, await_)
            and not self._is_for_the_handler(step, act, handler, await_)
            and (self._closes(act, touched, await_) or self._marks(step, act, handler, await_))
        )
        if not undone or self._begins_again(handler):
            return ()
        names = frozenset(act.subject for _, act in undone)
        return () if self._paths.is_cured(block, partial(_touches_any, undone), names) else undone

    def _is_for_the_handler(self, step: int, act: Act, handler: int, await_: int) -> bool:
        """Tell whether an act serves what the handler does about the error, and undoes nothing."""
        return (
            self._serves_a_retry(step, handler, await_)
            or self._is_acquired_there(act, handler)
            or self._is_put_back(act, handler)
            or self._is_set_anyway(step, act, handler, await_)
        )

    def _serves_a_retry(self, step: int, handler: int, await_: int) -> bool:
        """Tell whether a handler goes back to the await, and raises without the act when it gives up."""
        flow = self._facts.flow
        if not reaches(flow, handler, flow.block_of(await_), NOT_FAILED):
            return False
        through = flow.block_of(step)
        raising = (
            flow.block_of(each)
            for each in self._paths.steps_in(handler)
            if isinstance(self._facts.function.steps[each], Raise)
        )
        return any(not flow.dominance.dominates(through, block) for block in raising)

    def _begins_again(self, handler: int) -> bool:
        """Tell whether a handler calls the function itself once more, be it through others."""
        return any(map(self._facts.may_call_itself, self._paths.steps_in(handler)))

    def _is_acquired_there(self, act: Act, handler: int) -> bool:
        """Tell whether what a handler releases is what it has acquired for itself."""
        return act.verb is Verb.RELEASES and any(
            other.verb is Verb.ACQUIRES and other.subject == act.subject
            for _, other in self._paths.acts_in(handler)
        )

    def _is_put_back(self, act: Act, handler: int) -> bool:
        """Tell whether a `finally` in the handler gives an attribute the value again that it had before."""
        flow = self._facts.flow
        for number in self._paths.steps_in(handler):
            match self._facts.function.steps[number]:
                case Assign(target=Attr() as target, value=Name() | Temp()):
                    again = flow.blocks[flow.block_of(number)].cleanup
                    if again and self._facts.frame.path(target) == act.subject:
                        return True
                case _:
                    pass
        return False

    def _is_set_anyway(self, step: int, act: Act, handler: int, await_: int) -> bool:
        """Tell whether a flag is set after the await whether it fails or not: it says that it was tried.

        What the function has set before the await is another matter: that is undone on both ways.
        """
        if act.verb is not Verb.SETS or act.calls:
            return False
        flow, steps = self._facts.flow, self._facts.function.steps
        within = frozenset(self._paths.steps_in(handler))
        setting = [
            number
            for number, each in enumerate(steps)
            if isinstance(each, Assign) and self._facts.frame.path(each.target) == act.subject
        ]
        before = any(precedes(flow, number, await_) for number in setting)
        return not before and any(number not in within and steps[number] == steps[step] for number in setting)

    def _goes_on(self, await_: int) -> bool:
        """Tell whether a shield lets what is awaited go on, so that there is nothing to clean up yet."""
        operations = self._facts.effect(await_).operations
        return bool(operations) and all(operation.shielded for operation in operations)

    def _outlives(self, act: Act, await_: int) -> bool:
        """Tell whether a cleanup matters after the function has ended, and is this function's own doing.

        What it has opened by a call, it closes by a call, through however many others.
        """
        if not act.subject.is_visible_to_callers or not act.subject.fields:
            return False
        return act.calls <= MOST_CALLS or (act.verb is Verb.CLOSES and self._has_opened(act.subject, await_))

    def _has_opened(self, subject: Path, await_: int) -> bool:
        """Tell whether what the function has called before an await gives an attribute an object."""
        return any(
            subject in effect.paths(Opens)
            for number, effect in self._facts.effects.items()
            if number != await_ and precedes(self._facts.flow, number, await_)
        )

    def _closes(self, act: Act, touched: frozenset[Path], await_: int) -> bool:
        """Tell whether a handler takes out, gives back, or closes what the function has been at work on.

        That it closes something else, itself as a whole for instance, is what it thinks of the error.
        """
        match act.verb:
            case Verb.REMOVES:
                return act.calls == 0 or act.item is not None
            case Verb.CLOSES | Verb.RELEASES:
                return self._exists(act.subject, await_) and any(
                    act.subject.is_within(path) or path.is_within(act.subject) for path in touched
                )
            case _:
                return False

    def _exists(self, subject: Path, await_: int) -> bool:
        """Tell whether there is something to close when an await is cancelled.

        An attribute that the function itself fills, and only afterwards, is empty until then.
        """
        given = tuple(self._given(subject))
        flow = self._facts.flow
        return not given or any(precedes(flow, number, await_) for number in given)

    def _given(self, subject: Path) -> Iterator[int]:
        """Yield the steps that give an attribute, or what it is part of, an object."""
        for number, step in enumerate(self._facts.function.steps):
            match step:
                case Assign(target=Attr() as target, value=Name() | Temp() | Element() | Attr()):
                    path = self._facts.frame.path(target)
                    if path is not None and path.fields and subject.is_within(path):
                        yield number
                case _:
                    pass

    def _marks(self, step: int, act: Act, handler: int, await_: int) -> bool:
        """Tell whether a handler, whatever the error, sets a flag that other code decides by.

        A flag that says an error has happened does not count where all that was cancelled is a read that
        loses nothing: no error has happened. Nor does one that a helper sets, which tells of the error.
        """
        if act.verb not in (Verb.SETS, Verb.RESETS) or (act.verb is Verb.SETS and act.calls):
            return False
        if not self._attributes.is_tested(attribute_of(act.subject)) or self._paths.may_skip(handler, step):
            return False
        if self._forgets(step, act, handler):
            return False
        effect = self._facts.effect(await_)
        safe_read = bool(effect.takes) and not effect.losses and not effect.unknown
        return act.verb is Verb.RESETS or not safe_read

    def _forgets(self, step: int, act: Act, handler: int) -> bool:
        """Tell whether an attribute is made None that the function has not set before."""
        if not self._drops_a_reference(step):
            return False
        within = frozenset(self._paths.steps_in(handler))
        assigned = (
            self._facts.frame.path(each.target)
            for number, each in enumerate(self._facts.function.steps)
            if isinstance(each, Assign) and number not in within
        )
        return act.subject not in assigned

    def _drops_a_reference(self, step: int) -> bool:
        """Tell whether a step makes an attribute None: what was there before is no flag."""
        match self._facts.function.steps[step]:
            case Assign(value=Const(kind="none")):
                return True
            case _:
                return False

    def _touched(self, handler: int, await_: int) -> frozenset[Path]:
        """Return the objects that the function assigns, calls, hands on, reads from or writes to.

        What takes part in an exchange on one attribute of an object speaks for its whole connection.
        """
        within = frozenset(self._paths.steps_in(handler))
        steps = (number for number in range(len(self._facts.function.steps)) if number not in within)
        received_on = {Path(take.source.root) for take in self._facts.effect(await_).takes}
        return frozenset(self._objects(steps)) | received_on

    def confidence(self, step: int, act: Act, handler: int, await_: int) -> Confidence:
        """Return how firmly a cleanup is owed of which nobody sees the beginning.

        It is likely where the `try` itself has been at work on what is closed, where the function has filled
        on its way what is emptied, or where a flag is set that other code asks. That an entry is taken out
        which somebody else has put there may be an eviction; that what was there before is forgotten may be
        what the error alone calls for.
        """
        match act.verb:
            case Verb.REMOVES:
                return Confidence.POSSIBLE
            case Verb.SETS:
                return Confidence.LIKELY
            case Verb.RESETS if not self._turns_away(act.subject, await_):
                return Confidence.POSSIBLE
            case Verb.RESETS if self._has_filled(act.subject, await_):
                return Confidence.LIKELY
            case Verb.RESETS if self._drops_a_reference(step):
                return Confidence.POSSIBLE
            case _:
                near = self._at_work(handler)
                related = any(act.subject.is_within(path) or path.is_within(act.subject) for path in near)
                return Confidence.LIKELY if related else Confidence.POSSIBLE

    def _turns_away(self, subject: Path, await_: int) -> bool:
        """Tell whether the function, called again, may not come to an await because of an attribute."""
        flow = self._facts.flow
        goal = flow.block_of(await_)
        return any(
            block.test is not None
            and reads(self._facts.frame, block.test, subject)
            and any(
                edge.to < 0 or (edge.to != goal and not reaches(flow, edge.to, goal, NORMAL))
                for edge in block.edges
                if edge.leaves in (Leaves.TRUE, Leaves.FALSE)
            )
            for block in flow.blocks
        )

    def _has_filled(self, subject: Path, await_: int) -> bool:
        """Tell whether the function gives an attribute an object before an await."""
        return any(precedes(self._facts.flow, number, await_) for number in self._given(subject))

    def _at_work(self, handler: int) -> frozenset[Path]:
        """Return the objects that the body of a handler's `try` is at work on."""
        flow = self._facts.flow
        guarded = (each for each in range(len(flow.blocks)) if handler in self._paths.error_handlers(each))
        steps = tuple(flow.steps_of(guarded))
        received_on = {Path(take.source.root) for step in steps for take in self._facts.effect(step).takes}
        return frozenset(self._objects(steps)) | received_on

    def _objects(self, steps: Iterable[int]) -> Iterator[Path]:
        for number in steps:
            yield from (path for path in self._objects_of(number) if path.fields)

    def _objects_of(self, number: int) -> Iterator[Path]:
        frame = self._facts.frame
        effect = self._facts.effect(number)
        match self._facts.function.steps[number]:
            case Assign(target=Attr() as target) if (path := frame.path(target)) is not None:
                yield path
            case _:
                pass
        for argument in effect.arguments:
            if (path := frame.path(argument.value)) is not None:
                yield path
        yield from (act.subject for act in effect.acts if act.verb in (Verb.SENDS, Verb.ACQUIRES))
        yield from (take.source for take in effect.takes)
        yield from effect.paths(Replaces)


def _touches_any(undone: Undone, act: Act) -> bool:
    """Tell whether an act cleans up some of what the error handler does."""
    return any(
        act.subject.is_within(each.subject) or each.subject.is_within(act.subject)
        for _, each in undone
        if act.verb in UNDOES or act.verb is each.verb
    )


def _plainest(undone: tuple[int, Act]) -> tuple[int, int, int]:
    """Return a key that puts first what says most: closing before resetting, here before elsewhere."""
    step, act = undone
    order = (Verb.RELEASES, Verb.CLOSES, Verb.REMOVES)
    return order.index(act.verb) if act.verb in order else len(order), act.calls, step
