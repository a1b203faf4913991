"""Tasks that are started for everything that comes in."""

from collections.abc import Iterator

from msgspec import Struct

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.loops import Loop
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import Await, AwaitKind, Call, Closure, Const, Element, Expr, Name, Next, Op, Temp
from cancellint.model.knowledge import RaceKind, Role, SourceKind
from cancellint.model.summary import Acquires, Locks
from cancellint.model.types import FunctionKey, ProjectCallee, ProjectFunction

_FROM_PEERS = frozenset({SourceKind.STREAM, SourceKind.MESSAGES})


class SpawnLoop(Struct, frozen=True):
    """A loop starts a task at `at`, which runs `work`, for each item that the await `source` gives."""

    at: int
    source: int
    work: FunctionKey
    from_peer: bool
    """a peer sends the items, and nothing but the network holds it back"""
    is_unbounded: bool
    """nothing limits the number of tasks"""


class SpawnLoops:
    """Finds them for one coroutine at a time."""

    def __init__(self, effects: Effects, facts_of: FactsOf) -> None:
        self._effects = effects
        self._program = effects.program
        self._facts_of = facts_of

    def of(self, key: FunctionKey) -> Iterator[SpawnLoop]:
        """Yield the spawns of a coroutine in loops without an end, of tasks that wait for something."""
        function = self._program.function(key)
        if not function.is_async:
            return
        for number, step in enumerate(function.steps):
            if not isinstance(step, Call) or not self._starts_task(key, number):
                continue
            facts = self._facts_of(key)
            loop, work = facts.flow.loop_of(facts.flow.block_of(number)), self._work(key, step)
            if loop is None or work is None or self._is_counted(facts, loop) or not self._waits(work):
                continue
            source = self._source(facts, loop)
            if source is None or not self._gets_item(facts, step, source):
                continue
            kinds = {facts.source_kind(take.origin) for take in facts.takes(source)}
            held_back = self._holds_back(facts, loop, source) or self._takes_turns(work)
            yield SpawnLoop(number, source, work, not kinds.isdisjoint(_FROM_PEERS), not held_back)

    def _starts_task(self, key: FunctionKey, number: int) -> bool:
        for callee in self._effects.types.callees(key, number):
            known = self._effects.operations.known(callee)
            if known is not None and Role.SPAWNS in known.entry.roles and not known.entry.in_thread:
                return True
        return False

    def _is_counted(self, facts: Facts, loop: Loop) -> bool:
        """Tell whether a loop goes over something that is there already."""
        steps = facts.function.steps
        return any(isinstance(steps[number], Next) for number in facts.flow.steps(loop.header))

    def _source(self, facts: Facts, loop: Loop) -> int | None:
        """Return the await of a loop that gives it the next item."""
        for number in facts.flow.steps_of(loop.blocks):
            step = facts.function.steps[number]
            if isinstance(step, Await) and (step.kind is AwaitKind.NEXT or facts.effect(number).takes):
                return number
        return None

    # ----------------------------------------------------------------- what holds back

    def _holds_back(self, facts: Facts, loop: Loop, source: int) -> bool:
        """Tell whether a loop takes a permit, waits for tasks, or compares their number with a limit."""
        for number in facts.flow.steps_of(loop.blocks):
            step = facts.function.steps[number]
            if self._takes_permit(facts, number):
                return True
            if isinstance(step, Await) and number != source and self._waits_for_tasks(facts, number):
                return True
        tests = (facts.flow.blocks[number].test for number in loop.blocks)
        return any(test is not None and self._is_limit(facts, test) for test in tests)

    def _takes_permit(self, facts: Facts, number: int) -> bool:
        effect = facts.effect(number)
        return bool(effect.of_kind(Acquires)) or bool(effect.of_kind(Locks))

    def _waits_for_tasks(self, facts: Facts, number: int) -> bool:
        race = self._effects.of(facts.key, number).race
        if race is not None and race.kind is RaceKind.LEAVES_RUNNING:
            return True
        operations = self._effects.awaited(facts.key, number)
        return any(each.task or each.gathered for each in operations)

    def _is_limit(self, facts: Facts, test: Expr) -> bool:
        """Tell whether a test compares an amount with more than nothing."""
        for part in parts(test):
            match part:
                case Op(op="<" | ">" | "<=" | ">=", operands=operands):
                    if Const("int", "0") not in operands:
                        return True
                case _:
                    pass
        return False

    def _gets_item(self, facts: Facts, call: Call, source: int) -> bool:
        """Tell whether a call, or the coroutine that it is given, is given something of an item."""
        waiting: list[Expr] = [*call.args, *(value for _, value in call.keywords)]
        seen: set[Expr] = set()
        while waiting:
            for part in parts(waiting.pop()):
                if part in seen:
                    continue
                seen.add(part)
                if part == Temp(source):
                    return True
                match part:
                    case Temp(step=step):
                        made = facts.function.steps[step]
                        if isinstance(made, Call):
                            waiting += [made.func, *made.args, *(value for _, value in made.keywords)]
                    case Name(id=name):
                        bound = facts.frame.value_of(name)
                        waiting += [] if bound is None else [bound]
                    case Element(value=value):
                        waiting.append(value)
                    case Closure():
                        return True
                    case _:
                        pass
        return False

    # ----------------------------------------------------------------- the work

    def _work(self, key: FunctionKey, call: Call) -> FunctionKey | None:
        """Return the project function that a task runs."""
        for value in call.args:
            if isinstance(value, Temp):
                for callee in self._effects.types.callees(key, value.step):
                    if isinstance(callee, ProjectCallee):
                        return callee.key
            else:
                kind = self._effects.types.of(key, value)
                if isinstance(kind, ProjectFunction):
                    return kind.key
        return None

    def _waits(self, work: FunctionKey) -> bool:
        return any(True for _ in self._facts_of(work).awaits())

    def _takes_turns(self, work: FunctionKey) -> bool:
        """Tell whether a task takes a permit or a lock."""
        facts = self._facts_of(work)
        return any(self._takes_permit(facts, number) for number in range(len(facts.function.steps)))
