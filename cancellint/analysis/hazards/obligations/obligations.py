"""Obligations of a function that a cancellation path leaves undischarged, though other paths do not.

An obligation is taken on by a step and discharged by others. It is outstanding at every await that may be
reached in between. From there the cancellation path leads through `finally` and the handlers that catch it;
if nothing on it discharges the obligation, a *debt* remains.

Most pairs are read from the code's own beliefs: what the normal path, or the handler of an ordinary error,
undoes, has to be undone. Only locks and what comes out of a pool need no such witness.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from msgspec import Struct, structs

from cancellint.analysis.effects.acts import UNDOES, UNDONE_BY
from cancellint.analysis.effects.effect import Fate
from cancellint.analysis.engine.graph import ENTRY, NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import after_block, behind, precedes, reaches
from cancellint.analysis.flow.cancellation_paths import catch_step
from cancellint.analysis.flow.custody import empty_when
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.paths_after_awaits import (
    Belief,
    PathsAfterAwaits,
    attribute_of,
    is_exit,
    replaces,
)
from cancellint.analysis.flow.undoing import gives_back_local
from cancellint.analysis.memory.access_paths import Frame, is_part
from cancellint.analysis.memory.values import holders
from cancellint.analysis.program.attributes import Attributes
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Edge,
    Element,
    Enter,
    Expr,
    Item,
    Leaves,
    Name,
    Op,
    Return,
    Step,
    Temp,
    Yield,
)
from cancellint.model.summary import Act, Path, Verb
from cancellint.model.types import CallSite

MOST_CALLS = 1
"""Calls through which something may be taken on, or undone, and still count as the function's own doing."""


MOST_PLACES = Limit(4000, "places between what is taken on and an await")
"""Places of a search beyond which tests are no longer believed to exclude each other."""

BEFORE = -1
"""The step at which something was taken on that the function finds in its keeping."""


class ObligationKind(enum.StrEnum):
    """The kinds of obligations, by what is taken on."""

    HELD = "held resource"
    STATE = "stranded state"
    CLEANUP = "cleanup owed"


class Debt(Struct, frozen=True):
    """An obligation that stays undischarged if an await is cancelled."""

    kind: ObligationKind
    act: Act
    """what was taken on; of a cleanup, what the error handler does"""
    taken: int
    """the step that took it on, -1 where it was there before"""
    cancelled: int
    """the await"""
    witness: "Witness | None"
    """where it is undone on another path, None where nothing in the function does"""
    confidence: Confidence
    undone: tuple[int, ...] = ()
    """all steps that undo it"""
    is_answered: bool = False
    """it is a waiter in a table, that goes when it is answered, or stays there as one small entry"""

    awaits_answer: bool = False
    """the await that is cancelled is the one of the answer"""

    @property
    def handler(self) -> int:
        """The `except` that undoes it for ordinary errors only, -1 where there is none."""
        return self.witness.handler if self.witness is not None else -1


class Witness(Struct, frozen=True):
    """A step that undoes something, what it does, and the `except` it stands under (-1: under none).

    `elsewhere` is set where the step is one of another function.
    """

    step: int
    act: Act
    belief: Belief
    handler: int = -1
    elsewhere: CallSite | None = None
    sometimes: bool = False
    """the handler may raise again without it"""


class Obligation(Struct, frozen=True):
    """What is taken on at a step, and under which names the function knows it."""

    kind: ObligationKind
    act: Act
    taken: int
    names: frozenset[Path]
    entry: Path | None = None
    """the object that an entry of a container was given"""
    built_on: frozenset[Path] = frozenset()
    """the objects of the function's own that an object was made of: closing one of them closes it"""
    put_back: int = BEFORE
    """the step that puts back what a caller has returned, where that is all that is asked of the function"""
    is_own_lock: bool = False
    """a flag or counter that the function, and its counterpart, make a lock of"""


_MOST_COPIES = Limit(3, "variables that hold one object in turn")
"""Variables after which an object that goes from one to the next is not followed back any further."""


class Obligations:
    """The solved analysis of one function; `attributes` tells what the rest of the program does.

    `counterpart` is the function that alone gives back what this one has taken, and runs only once this one
    has come to its end: of an `__aenter__` the `__aexit__`, of an `acquire` the `release`. Where the
    function is such a one itself, `waited_for` tells whether others wait until something is put into a pool.
    """

    def __init__(
        self,
        paths: PathsAfterAwaits,
        attributes: Attributes,
        counterpart: Facts | None = None,
        waited_for: Callable[[Path], bool] | None = None,
    ) -> None:
        self._counterpart = counterpart
        self._waited_for = waited_for
        self._facts = paths.facts
        self._paths = paths
        self._attributes = attributes

    def debts(self) -> tuple[Debt, ...]:
        """Return what stays undischarged, one debt for all that one handler or `finally` would discharge."""
        found: dict[int, Debt] = {}
        for obligation in self._taken_on():
            debt = self._debt_of(obligation)
            if debt is not None:
                found.setdefault(debt.taken, debt)
        return tuple(_one_per_place(found.values()))

    # ------------------------------------------------------------------ what is taken on

    def _taken_on(self) -> Iterator[Obligation]:
        for number, acts in self._facts.acts.items():
            for act in acts if not _is_entry(self._facts.function.steps[number]) else ():
                match act.verb:
                    case _ if act.calls > MOST_CALLS:
                        pass
                    case Verb.ACQUIRES:
                        yield Obligation(ObligationKind.HELD, act, number, self._names(act.subject))
                    case Verb.SETS | Verb.RAISES | Verb.ADDS:
                        if self._is_shared(act):
                            names = frozenset((act.subject,))
                            yield Obligation(
                                ObligationKind.STATE, act, number, names, self._entry_given(number)
                            )
                    case _:
                        pass
        yield from self._given_back()
        yield from self._held_before()
        yield from self._locked()
        yield from self._returned_to()

    def _entry_given(self, number: int) -> Path | None:
        """Return the object that a step puts into a container under a key."""
        match self._facts.function.steps[number]:
            case Assign(target=Item(), value=value, op=""):
                return self._facts.frame.path(value)
            case _:
                return None

    def _held_before(self) -> Iterator[Obligation]:
        """Yield what a method that ends something gives back to its pool: it was held all the time."""
        if self._facts.function.name not in self._facts.conventions.closes:
            return
        seen: set[Path] = set()
        for acts in self._facts.acts.values():
            for act in acts:
                pooled = act.verb is Verb.RELEASES and act.item is not None and act.calls == 0
                if (
                    pooled
                    and act.subject.root == "param:0"
                    and act.subject.fields
                    and act.subject not in seen
                ):
                    seen.add(act.subject)
                    taken = Act(Verb.ACQUIRES, act.subject, act.item, Confidence.LIKELY)
                    yield Obligation(ObligationKind.HELD, taken, BEFORE, frozenset((act.subject,)))

    def _returned_to(self) -> Iterator[Obligation]:
        """Yield what a caller returns to a pool by this method, which puts it there at the end of its way."""
        waited_for = self._waited_for
        for param in self._facts.function.params[1:] if waited_for is not None else ():
            path = self._facts.frame.path(Name(param.name))
            if path is None:
                continue
            for number in range(len(self._facts.function.steps)):
                for argument in self._facts.effect(number).arguments:
                    pool = argument.into
                    stores = argument.fate is Fate.STORES and self._facts.frame.path(argument.value) == path
                    if stores and pool is not None and waited_for is not None and waited_for(pool):
                        taken = Act(Verb.ACQUIRES, path, pool)
                        names = frozenset((path, Path(f"local:{param.name}")))
                        yield Obligation(ObligationKind.HELD, taken, BEFORE, names, put_back=number)

    def _locked(self) -> Iterator[Obligation]:
        """Yield the flags and counters by which a function makes a lock of its own, where it takes it.

        Whoever finds it taken waits there for his turn, and the counterpart alone gives it back.
        """
        there = self._counterpart
        awaits = (await_ for _, await_ in self._paths.awaits)
        if there is None or not any(self._facts.waits_for_somebody(await_) for await_ in awaits):
            return
        given_back = {
            act.subject
            for acts in there.acts.values()
            for act in acts
            if act.verb in (Verb.RESETS, Verb.LOWERS) and act.calls <= MOST_CALLS
        }
        for number, step in enumerate(self._facts.function.steps):
            subject = self._facts.frame.path(step.target) if isinstance(step, Assign) else None
            if subject is None or subject not in given_back or not subject.is_visible_to_callers:
                continue
            verbs = [act.verb for act in self._facts.acts.get(number, ())]
            if UNDOES.isdisjoint(verbs) and subject.fields and asks_for(self._facts, subject):
                taken = Act(Verb.RAISES if Verb.RAISES in verbs else Verb.SETS, subject)
                yield Obligation(ObligationKind.HELD, taken, number, frozenset((subject,)), is_own_lock=True)

    def _is_shared(self, act: Act) -> bool:
        """Tell whether others see the state: it belongs to an object that outlives the call, and is read."""
        subject = act.subject
        if not subject.fields or not (subject.is_visible_to_callers or subject.root.startswith("local:")):
            return subject.root.startswith(("global:", "free:")) and act.verb is not Verb.SETS
        return act.verb is Verb.ADDS or self._attributes.is_tested(attribute_of(subject))

    def _given_back(self) -> Iterator[Obligation]:
        """Yield the local objects that are released or closed somewhere, from where they came into being."""
        seen: set[Path] = set()
        for step, acts in self._facts.acts.items():
            for act in acts if not is_exit(self._facts.function.steps[step]) else ():
                if not gives_back_local(act) or act.subject in seen:
                    continue
                seen.add(act.subject)
                for number in self._made_at(act.subject):
                    if self._wraps_parameters(number) or _is_entry(self._facts.function.steps[number]):
                        continue
                    taken = Act(Verb.ACQUIRES, act.subject, act.item, act.confidence)
                    names, parents = self._names(act.subject), self._parents(number)
                    yield Obligation(ObligationKind.HELD, taken, number, names, built_on=parents)

    def _parents(self, number: int) -> frozenset[Path]:
        """Return the variables whose objects a call is given, or one that makes what it is given."""
        found: set[Path] = set()
        steps = self._facts.function.steps
        for current in (waiting := [number]):
            step = steps[current]
            if isinstance(step, Await) and isinstance(step.value, Temp):
                waiting.append(step.value.step)
            if not isinstance(step, Call):
                continue
            for value in (*step.args, *(value for _, value in step.keywords)):
                path = self._facts.frame.path(value)
                if path is not None and path.root.startswith("local:") and not path.fields:
                    found.add(path)
        return frozenset(found)

    def _wraps_parameters(self, number: int) -> bool:
        """Tell whether an object is made of nothing but what the caller has given: it owns nothing."""
        step = self._facts.function.steps[number]
        if not isinstance(step, Call) or not step.args or step.keywords:
            return False
        return all(isinstance(value, Name) and value.id in self._facts.frame.params for value in step.args)

    def _made_at(self, path: Path) -> Iterator[int]:
        """Yield the calls and awaits whose outcome a local object is."""
        kind, _, name = path.root.partition(":")
        steps = self._facts.function.steps
        if kind == "temp":
            yield int(name)
            return
        variables = {name}
        for _ in range(_MOST_COPIES):
            variables |= {
                step.value.id
                for step in steps
                if isinstance(step, Assign) and not step.op and isinstance(step.value, Name)
                if isinstance(step.target, Name) and step.target.id in variables
            }
        for step in steps:
            match step:
                case Assign(target=Name(id=target), value=Temp(step=made), op="") if target in variables:
                    if isinstance(steps[made], Call | Await):
                        yield made
                case _:
                    pass

    def _names(self, path: Path) -> frozenset[Path]:
        """Return the paths that mean the same object as a local one."""
        found = {path}
        for step in self._facts.function.steps:
            match step:
                case Assign(
                    target=Name(id=name), value=Temp(step=made) | Element(value=Temp(step=made)), op=""
                ) if Path(f"temp:{made}") in found:
                    found.add(Path(f"local:{name}"))
                case Assign(target=Name(id=name), value=Name() as other, op="") if (
                    self._facts.frame.path(other) in found
                ):
                    found.add(Path(f"local:{name}"))
                case _:
                    pass
        if path.root.startswith("local:"):
            found.update(Path(f"temp:{made}") for made in self._made_at(path))
        return frozenset(found)

    # ------------------------------------------------------------------ debts

    def _debt_of(self, obligation: Obligation) -> Debt | None:
        """Return the debt that is easiest to see, None where every cancellation path discharges it."""
        found: Debt | None = None
        outstanding = tuple(self._outstanding(obligation))
        if any(self._has_callback(obligation, step) for step in self._facts.function.steps):
            return None
        undoing = self._undone_on_cancellation(obligation, outstanding)
        for block, await_ in outstanding:
            debt = self._debt_at(obligation, block, await_, self._undone_from(await_, undoing))
            if debt is not None and (found is None or (found.handler < 0 <= debt.handler)):
                found = debt
        return found

    def _debt_at(
        self, obligation: Obligation, block: int, await_: int, elsewhere: Witness | None
    ) -> Debt | None:
        answered = self._answered(obligation, await_)
        found = (
            self._witness(obligation, block),
            elsewhere,
            answered,
            self._given_back_by_counterpart(obligation),
        )
        if not self._would_put_back(obligation, block):
            return None
        witnesses = [each for each in found if each is not None]
        witness = min(witnesses, key=lambda each: each.belief.value, default=None)
        if witness is None and not _is_known_to_be_owed(obligation):
            return None
        if witness is not None and witness.handler < 0 and _is_merely_closed(obligation, witness):
            return None
        if self._is_collected(obligation):
            return None
        if self._is_handed_on(obligation, block) or self._paths.is_cured(
            block, partial(_cures, obligation), obligation.names
        ):
            return None
        confidence = _confidence(obligation, witness)
        meant = self._is_latch(obligation, block) or not self._refuses(obligation)
        if (meant and not obligation.is_own_lock) or self._is_spent_by_errors(obligation, witness):
            confidence = Confidence.POSSIBLE
        elif confidence is Confidence.CERTAIN and self._may_end_by_itself(obligation, witness):
            confidence = Confidence.LIKELY
        undone = tuple(step for step in self._facts.acts if self._undone_at(obligation, (step,)))
        return Debt(
            obligation.kind,
            obligation.act,
            obligation.taken,
            await_,
            witness,
            confidence,
            undone,
            is_answered=self._is_answered(obligation),
            awaits_answer=answered is not None,
        )

    def _would_put_back(self, obligation: Obligation, block: int) -> bool:
        """Tell whether an await stands between a caller's returning something and its being put back."""
        flow = self._facts.flow
        put_back = obligation.put_back
        return put_back == BEFORE or reaches(flow, block, flow.block_of(put_back), NORMAL)

    def _is_handed_on(self, obligation: Obligation, block: int) -> bool:
        """Tell whether the cancellation path gives what is held to somebody who keeps it."""
        way = self._paths.cancellation_path(block) if obligation.kind is ObligationKind.HELD else None
        steps = self._facts.function.steps
        return way is not None and any(self._hands_on(obligation, step, steps[step]) for step in way.steps)

    def _is_collected(self, obligation: Obligation) -> bool:
        """Tell whether an object of this function alone is closed as soon as the function has ended."""
        if obligation.kind is not ObligationKind.HELD or obligation.act.subject.fields:
            return False
        return any(self._is_collected_object(each.root) for each in obligation.names)

    def _is_collected_object(self, root: str) -> bool:
        where, _, name = root.partition(":")
        match where:
            case "local":
                return self._facts.is_collected(Name(name))
            case "temp":
                return self._facts.is_collected(Temp(int(name)))
            case _:
                return False

    def _may_end_by_itself(self, obligation: Obligation, witness: Witness | None) -> bool:
        """Tell whether state that stays behind may do no harm: its object ends, or somebody else removes it.

        That errors have to be cleaned up after says more than that the end of the call does.
        """
        if obligation.kind is not ObligationKind.STATE:
            return False
        any_error = witness is not None and witness.belief is Belief.ANY_ERROR
        return not any_error or (
            obligation.act.verb is Verb.ADDS and self._removed_at(obligation) is not None
        )

    def _removed_at(self, obligation: Obligation) -> CallSite | None:
        """Return where another function takes entries out of the same container."""
        return self._attributes.removed_at(attribute_of(obligation.act.subject), self._facts.key)

    def _refuses(self, obligation: Obligation) -> bool:
        """Tell whether the function itself asks for a flag that stays set, when it is called again.

        What other functions make of a flag is seldom to stop for good, and the next call sets it right.
        So does this function, where it asks only for what it has set itself.
        """
        if obligation.act.verb is not Verb.SETS:
            return True
        flow, subject = self._facts.flow, obligation.act.subject
        through = self._place_taken(obligation).block
        return any(
            reaches(flow, ENTRY, number, NORMAL, avoiding=(through,))
            for number in _asking(self._facts, subject)
        )

    def _is_latch(self, obligation: Obligation, awaiting: int) -> bool:
        """Tell whether a flag is set only the first time: who finds it set goes on to the same await.

        A guard refuses instead: it leaves, or waits for whoever has set it.
        """
        if obligation.act.verb is not Verb.SETS:
            return False
        flow = self._facts.flow
        through = self._place_taken(obligation).block
        asks = any(
            through in after_block(flow, number) for number in _asking(self._facts, obligation.act.subject)
        )
        return asks and reaches(flow, ENTRY, awaiting, NORMAL, avoiding=(through,))

    def _is_spent_by_errors(self, obligation: Obligation, witness: Witness | None) -> bool:
        """Tell whether a handler lets an error out and gives nothing back: what success alone gives back."""
        if obligation.kind is not ObligationKind.HELD:
            return False
        if witness is None or witness.belief is not Belief.NORMAL:
            return False
        later = after_block(self._facts.flow, self._place_taken(obligation).block)
        handlers = {each for block in later if block >= 0 for each in self._paths.error_handlers(block)}
        return any(
            self._paths.raises_again(each) and self._undone_at(obligation, self._paths.steps_in(each)) is None
            for each in handlers
        )

    # ------------------------------------------------------------------ witnesses

    def _witness(self, obligation: Obligation, block: int) -> Witness | None:
        """Return where errors at the end of a block, or else the normal path from there, undo it."""
        for_errors = self._undone_in_handler(obligation, block)
        if for_errors is not None and for_errors.belief is Belief.ANY_ERROR:
            return for_errors
        return self._undone_later(obligation, block) or for_errors

    def _undone_in_handler(self, obligation: Obligation, block: int) -> Witness | None:
        """Return where the handlers of an await's errors undo it, as far as that speaks of a cancellation."""
        for handler in self._paths.error_handlers(block):
            belief = self._paths.belief(handler)
            if obligation.kind is not ObligationKind.HELD and not self._says_undo(handler, belief):
                continue
            for step, act in self._paths.acts_in(handler):
                if _undoes(obligation, act):
                    own = self._paths.nearest_handler(handler, step)
                    belief = self._paths.belief(own)
                    caught = catch_step(self._facts, own) if belief is not Belief.SOME_ERROR else -1
                    return Witness(step, act, belief, caught, sometimes=self._paths.may_skip(own, step))
        return None

    def _says_undo(self, handler: int, belief: Belief) -> bool:
        """Tell whether a handler that changes state back does so because the function has failed.

        One that swallows the error goes on: then it is what the error means that it takes note of.
        """
        return belief is not Belief.SOME_ERROR and self._paths.raises_again(handler)

    def _undone_later(self, obligation: Obligation, block: int) -> Witness | None:
        """Return where it is undone after the await has come back.

        State that some way to the end keeps is no bracket: it is put back because of what was learnt.
        """
        found: list[tuple[int, Act]] = []

        def undone(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            act = self._undone_at(obligation, (step,))
            if act is not None and not self._is_remembered(obligation, here.block, step):
                found.append(act)
            return Halt.STOP if act is not None or step == obligation.taken else ()

        flow = self._facts.flow
        turns = self._next_turns(obligation)

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            return None if edge.to in turns else ()

        following = [PathPoint(to, ()) for to in flow.targets(block, NORMAL) if to >= 0 and to not in turns]
        ends = PathSearch(flow, undone, onward, taken=NORMAL).run(following).ends
        for step, act in found:
            if flow.blocks[flow.block_of(step)].cleanup:
                return Witness(step, act, Belief.CLEANUP)
        kept = any(end.exit == RETURN_EXIT for end in ends)
        if not found or (kept and obligation.kind is ObligationKind.STATE):
            return None
        return Witness(*found[0], Belief.NORMAL)

    def _next_turns(self, obligation: Obligation) -> frozenset[int]:
        """Return where the next turn of a loop begins in which state was changed: what it finds is its own.

        What is held, on the other hand, is held until it is given back.
        """
        if obligation.kind is ObligationKind.HELD or obligation.taken == BEFORE:
            return frozenset()
        flow = self._facts.flow
        taken = flow.block_of(obligation.taken)
        return frozenset(loop.header for loop in flow.loops if taken in loop.blocks)

    def _undone_on_cancellation(
        self, obligation: Obligation, outstanding: Iterable[tuple[int, int]]
    ) -> dict[int, Witness]:
        """Return the awaits whose cancellation undoes it, and where.

        What comes after the last of them may well keep it: the call has succeeded by then.
        """
        found: dict[int, Witness] = {}
        for block, await_ in outstanding:
            way = self._paths.cancellation_path(block)
            act = self._undone_at(obligation, way.steps if way is not None else ())
            if act is not None:
                found[await_] = Witness(*act, Belief.CLEANUP)
        return found

    def _undone_from(self, await_: int, undoing: dict[int, Witness]) -> Witness | None:
        """Return where it is undone if not this await, but one that follows it, is cancelled."""
        later = [each for each in undoing if precedes(self._facts.flow, await_, each)]
        return undoing[max(later)] if later else None

    def _answered(self, obligation: Obligation, await_: int) -> Witness | None:
        """Return where a waiter that is registered here and awaited is taken out by whoever answers it."""
        registered = self._registered(obligation)
        place = self._removed_at(obligation) if registered is not None else None
        if place is None or registered is None or registered.root not in _awaited_roots(self._facts, await_):
            return None
        act = Act(Verb.REMOVES, obligation.act.subject, obligation.act.item)
        return Witness(-1, act, Belief.ANSWERED, elsewhere=place)

    def _is_answered(self, obligation: Obligation) -> bool:
        """Tell whether a waiter in a table is one call's own: it goes when it is answered, or harms nobody.

        Where the function itself asks whether there is one already, those who come after wait for it.
        """
        if self._registered(obligation) is None:
            return False
        return self._removed_at(obligation) is not None or not asks_for(self._facts, obligation.act.subject)

    def _registered(self, obligation: Obligation) -> Path | None:
        """Return the waiter that is put into a table under a key for others to answer."""
        step = self._facts.function.steps[obligation.taken]
        if obligation.kind is not ObligationKind.STATE or not isinstance(step, Assign):
            return None
        registered = self._facts.frame.path(step.value)
        if registered is None or registered.is_visible_to_callers or not self._facts.is_waiter(step.value):
            return None
        return registered

    def _given_back_by_counterpart(self, obligation: Obligation) -> Witness | None:
        """Return where the function that runs at the end of it all gives it back."""
        there = self._counterpart
        if there is None or obligation.kind is not ObligationKind.HELD:
            return None
        if not obligation.act.subject.is_visible_to_callers:
            return None
        for step, acts in there.acts.items():
            for act in acts:
                opens = obligation.is_own_lock and act.subject in obligation.names and act.verb in UNDOES
                if opens or _undoes(obligation, act):
                    return Witness(step, act, Belief.CLEANUP, elsewhere=CallSite(there.key, step))
        return None

    def _undone_at(self, obligation: Obligation, steps: Iterable[int]) -> tuple[int, Act] | None:
        """Return the first of the steps that undoes it, and its act."""
        for step in steps:
            for act in self._facts.acts.get(step, ()):
                if _undoes(obligation, act) and self._is_paired(obligation, step):
                    return step, act
        return None

    def _is_paired(self, obligation: Obligation, step: int) -> bool:
        """Tell whether a step runs as often as what it undoes: what a turn counts up, it counts down."""
        if obligation.act.verb is not Verb.RAISES:
            return True
        flow = self._facts.flow
        return flow.loop_of(flow.block_of(step)) == flow.loop_of(flow.block_of(obligation.taken))

    # ------------------------------------------------------------------ outstanding

    def _outstanding(self, obligation: Obligation) -> Iterator[tuple[int, int]]:
        """Yield (block, await) for the awaits that may be reached with the obligation still open, in order.

        They may lie in the next turn of a loop. But state that is settled in the next turn is what the loop
        remembers from one turn to the other, such as how the last one ended. An await that discharges the
        obligation itself is none.
        """
        facts = self._facts
        found: dict[tuple[int, int], None] = {}

        def passed(here: PathPoint[tuple[()]], step: int) -> tuple[()] | Halt:
            if self._ends(obligation, step):
                return Halt.STOP
            if step == facts.flow.last_step(here.block) and self._may_leave_open(
                obligation, here.block, step
            ):
                found[here.block, step] = None
            return ()

        def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
            test = facts.flow.blocks[here.block].test
            return None if _is_impossible(facts.frame, obligation, test, edge.leaves) else ()

        search = PathSearch(facts.flow, passed, onward, taken=NORMAL, tests=facts.tests, cap=MOST_PLACES)
        start = self._place_taken(obligation)
        if search.run([start]).outcome is Outcome.UNKNOWN:
            PathSearch(facts.flow, passed, onward, taken=NORMAL).run([structs.replace(start, decided=())])
        order = {block: rank for rank, block in enumerate(facts.flow.order)}
        for block, await_ in sorted(found, key=lambda at: (order[at[0]] - order[start.block]) % len(order)):
            if not self._is_remembered(obligation, block, await_):
                yield block, await_

    def _is_remembered(self, obligation: Obligation, block: int, step: int) -> bool:
        """Tell whether a step is reached with state that an earlier turn of a loop around both has left."""
        if obligation.kind is not ObligationKind.STATE:
            return False
        flow = self._facts.flow
        around = flow.cycle(flow.block_of(obligation.taken))
        return block in around and not precedes(flow, obligation.taken, step)

    def _may_leave_open(self, obligation: Obligation, block: int, await_: int) -> bool:
        """Tell whether an await can be cancelled, and does not close by itself what is held."""
        return (block, await_) in self._paths.awaits and obligation.names.isdisjoint(
            self._facts.closed_by_cancelling(await_)
        )

    def _place_taken(self, obligation: Obligation) -> PathPoint[tuple[()]]:
        """Return the place behind the step that takes it on, the entry if it was there before."""
        if obligation.taken == BEFORE:
            return behind(self._facts.flow, None)
        before = self._facts.known_before(obligation.taken)
        decided = self._facts.tests.over_step(before, obligation.taken)
        return structs.replace(behind(self._facts.flow, obligation.taken), decided=decided)

    def _ends(self, obligation: Obligation, step: int) -> bool:
        """Tell whether a step discharges an obligation: undoes it, hands it on, or takes it on anew."""
        if step == obligation.taken:
            return True
        if any(_cures(obligation, act) for act in self._facts.acts.get(step, ())):
            return True
        node = self._facts.function.steps[step]
        if replaces(self._facts.frame, node, obligation.names):
            return True
        if isinstance(node, Call) and self._leaves_to_others(obligation, node):
            return True
        return obligation.kind is ObligationKind.HELD and self._hands_on(obligation, step, node)

    def _has_callback(self, obligation: Obligation, step: Step) -> bool:
        """Tell whether a step has something undone as soon as a task or future is done, cancelled or not."""
        return (
            isinstance(step, Call)
            and isinstance(step.func, Attr)
            and step.func.name == "add_done_callback"
            and self._leaves_to_others(obligation, step)
        )

    def _leaves_to_others(self, obligation: Obligation, call: Call) -> bool:
        """Tell whether a call is given a function, or a coroutine to start, that will undo it later."""
        wanted = UNDONE_BY[obligation.act.verb]
        for value in (*call.args, *(value for _, value in call.keywords)):
            match value:
                case Attr(base=base) if self._facts.frame.path(base) == obligation.act.subject:
                    return True
                case _:
                    pass
            for act in self._facts.acts_behind(value):
                if act.verb is wanted and attribute_of(act.subject) == attribute_of(obligation.act.subject):
                    return True
        return False

    def _hands_on(self, obligation: Obligation, step: int, node: Step) -> bool:
        """Tell whether a step gives an object to somebody else who will have to answer for it."""
        frame = self._facts.frame
        match node:
            case Return(value=value) | Yield(value=value):
                return _mentions(frame, value, obligation.names)
            case Assign(target=Attr() | Item() as target, value=value):
                path = frame.path(target)
                kept = path is None or path.is_visible_to_callers
                return kept and _mentions(frame, value, obligation.names)
            case _:
                return any(
                    argument.fate is Fate.STORES
                    and argument.into is not None
                    and argument.into.is_visible_to_callers
                    and _mentions(frame, argument.value, obligation.names)
                    for argument in self._facts.effect(step).arguments
                )


def asks_for(facts: Facts, subject: Path) -> bool:
    """Tell whether a function decides by a flag or attribute itself, as it will when it is called again."""
    return any(True for _ in _asking(facts, subject))


def _asking(facts: Facts, subject: Path) -> Iterator[int]:
    """Yield the blocks that end in a test which reads a flag or attribute."""
    for number, block in enumerate(facts.flow.blocks):
        if block.test is not None and reads(facts.frame, block.test, subject):
            yield number


def reads(frame: Frame, test: Expr, subject: Path) -> bool:
    """Tell whether a test reads a flag or attribute, alone or among other things."""
    waiting = [test]
    while waiting:
        match waiting.pop():
            case Op(operands=operands):
                waiting.extend(operands)
            case part if frame.path(part) == subject:
                return True
            case _:
                pass
    return False


# --------------------------------------------------------------------------- how firmly


def _is_known_to_be_owed(obligation: Obligation) -> bool:
    """Tell whether it is known, not believed, that this has to be given back: it came out of a pool."""
    act = obligation.act
    return act.verb is Verb.ACQUIRES and act.item is not None and act.confidence is Confidence.CERTAIN


def _is_merely_closed(obligation: Obligation, witness: Witness) -> bool:
    """Tell whether the normal path only closes a local object: if it does not, the collector will."""
    return (
        obligation.kind is ObligationKind.HELD
        and witness.act.verb is Verb.CLOSES
        and (not obligation.act.subject.is_visible_to_callers)
    )


def _confidence(obligation: Obligation, witness: Witness | None) -> Confidence:
    """Return how firmly a debt stands.

    What is undone on the normal path alone stays so after an error too. A flag or a counter is then very
    likely forgotten; an entry of a container may well be meant to stay until somebody tries again.
    What a helper sets may be a state of its own, such as *started*; what comes out of `a or await acquire()`
    may not have been acquired at all.
    """
    if witness is None:
        return obligation.act.confidence
    limits = [obligation.act.confidence, witness.act.confidence]
    if obligation.kind is ObligationKind.STATE and witness.belief is Belief.NORMAL:
        adds = obligation.act.verb is Verb.ADDS
        limits.append(Confidence.POSSIBLE if adds else Confidence.LIKELY)
    if obligation.act.verb is Verb.SETS and (obligation.act.calls or witness.act.calls):
        limits.append(Confidence.POSSIBLE)
    if any(name.root.startswith("local:$") for name in obligation.names):
        limits.append(Confidence.POSSIBLE)
    if witness.sometimes or obligation.taken == BEFORE:
        limits.append(Confidence.POSSIBLE)
    if witness.belief is Belief.TIMEOUT:
        limits.append(Confidence.LIKELY)
    if witness.belief is Belief.ANSWERED:
        limits.append(Confidence.LIKELY if _is_new(obligation.act.item) else Confidence.POSSIBLE)
    return weakest(*limits)


def _is_new(key: Path | None) -> bool:
    """Tell whether an entry's key may be another one for each call, so that no later entry replaces it."""
    if key is None or key.root.startswith("const:"):
        return False
    return not key.root.startswith("param:") or bool(key.fields)


# --------------------------------------------------------------------------- matching


def _undoes(obligation: Obligation, act: Act) -> bool:
    """Tell whether an act is the counterpart of what was taken on.

    What happens many calls further on is not what this function's author had in mind.
    """
    taken = obligation.act
    if act.calls > MOST_CALLS:
        return False
    if obligation.kind is ObligationKind.HELD:
        if not _is_whole_or_part(obligation, act.subject):
            return False
        return act.verb is Verb.RELEASES or (
            act.verb is Verb.CLOSES and (not taken.subject.is_visible_to_callers)
        )
    if act.verb is not UNDONE_BY[taken.verb] or act.subject != taken.subject:
        return False
    if act.item is None or taken.item is None:
        return act.verb is not Verb.REMOVES or act.calls == taken.calls == 0
    return act.item == taken.item


def _is_whole_or_part(obligation: Obligation, subject: Path) -> bool:
    """Tell whether an object is what is held, or one of several that were opened and end together."""
    if subject in obligation.names:
        return True
    opened = obligation.act.verb is Verb.ACQUIRES and obligation.act.item is None
    return opened and is_part(subject) and Path(subject.root) in obligation.names


def _cures(obligation: Obligation, act: Act) -> bool:
    """Tell whether an act leaves nothing to be undone."""
    if act.verb is Verb.ADDS and act.item in obligation.names:
        return obligation.kind is ObligationKind.HELD and act.subject.is_visible_to_callers
    if act.verb is Verb.CLOSES and act.subject in obligation.built_on:
        return True
    if obligation.kind is ObligationKind.HELD and act.verb in UNDOES and is_part(act.subject):
        return _is_whole_or_part(obligation, act.subject)
    return act.verb in UNDOES and any(name.is_within(act.subject) for name in obligation.names)


def _is_impossible(frame: Frame, obligation: Obligation, test: Expr | None, leaves: Leaves) -> bool:
    """Tell whether a branch is for the case that nothing has been taken on, when something just has been."""
    if test is None or leaves not in (Leaves.TRUE, Leaves.FALSE):
        return False
    if leaves is _when_idle(frame, obligation.act, test) or leaves is _when_not_own(frame, obligation, test):
        return True
    empty = empty_when(test, leaves is Leaves.TRUE)
    there = (*obligation.names, obligation.act.item)
    return empty is not None and Path(f"local:{empty}") in there


def _when_idle(frame: Frame, taken: Act, test: Expr) -> Leaves | None:
    """Return how a test comes out that asks for the flag, or the entry, if there is none."""
    match test:
        case Op(op="not", operands=(inner,)):
            found = _when_idle(frame, taken, inner)
            return None if found is None else Leaves.TRUE if found is Leaves.FALSE else Leaves.FALSE
        case Op(op="in" | "not in" as op, operands=(key, container)) if (
            frame.path(container) == taken.subject
        ):
            if taken.verb is Verb.ADDS and frame.path(key) == taken.item:
                return Leaves.FALSE if op == "in" else Leaves.TRUE
        case Name() | Attr() if taken.verb is Verb.SETS and frame.path(test) == taken.subject:
            return Leaves.FALSE
        case _:
            pass
    return None


def _when_not_own(frame: Frame, obligation: Obligation, test: Expr) -> Leaves | None:
    """Return how a test comes out that asks whether an entry is still one's own, if it is not."""
    match test:
        case Op(op="is" | "==" | "is not" | "!=" as op, operands=operands) if obligation.entry is not None:
            own = [frame.path(each) == obligation.entry for each in operands]
            looked_up = [_looks_up(frame, obligation.act.subject, each) for each in operands]
            if any(own) and any(looked_up):
                return Leaves.FALSE if op in ("is", "==") else Leaves.TRUE
        case _:
            pass
    return None


def _looks_up(frame: Frame, container: Path, expr: Expr) -> bool:
    """Tell whether an expression is an entry of a container, be it through a variable."""
    if isinstance(expr, Name):
        expr = frame.value_of(expr.id) or expr
    match expr:
        case Item(base=base):
            return frame.path(base) == container
        case Temp(step=step):
            match frame.function.steps[step]:
                case Call(func=Attr(base=base)):
                    return frame.path(base) == container
                case _:
                    return False
        case _:
            return False


def _mentions(frame: Frame, value: Expr, names: frozenset[Path]) -> bool:
    """Tell whether a value contains the object."""
    wanted = {name.root.partition(":")[2] if name.root.startswith("local:") else name.root for name in names}
    return any(
        content and (str(place) in wanted or f"temp:{place}" in wanted)
        for place, content in holders(frame, value)
    )


def _is_entry(step: Step) -> bool:
    """Tell whether a step enters a `with`, whose exit gives back what it took."""
    return isinstance(step, Enter) or (isinstance(step, Await) and step.kind is AwaitKind.ENTER)


def _awaited_roots(facts: Facts, await_: int) -> frozenset[str]:
    """Return the roots of the objects that an await waits for, itself or through a race."""
    steps = facts.function.steps
    node = steps[await_]
    race = facts.effect(await_).race
    waiting = [
        *((node.value,) if isinstance(node, Await) else ()),
        *(race.values if race is not None else ()),
    ]
    found: set[str] = set()
    while waiting:
        path = facts.frame.path(waiting.pop())
        if path is None or path.root in found:
            continue
        found.add(path.root)
        made = steps[int(path.root.removeprefix("temp:"))] if path.root.startswith("temp:") else None
        if isinstance(made, Call) and isinstance(made.func, Attr):
            waiting.append(made.func.base)
    return frozenset(found)


def _one_per_place(debts: Iterable[Debt]) -> Iterator[Debt]:
    """Yield the debts, of those that one handler would settle, or that one await leaves, only the firmest."""
    best: dict[tuple[ObligationKind, int], Debt] = {}
    for debt in debts:
        place = (ObligationKind.CLEANUP, debt.handler) if debt.handler >= 0 else (debt.kind, debt.cancelled)
        if place not in best or debt.confidence.rank < best[place].confidence.rank:
            best[place] = debt
    yield from best.values()
