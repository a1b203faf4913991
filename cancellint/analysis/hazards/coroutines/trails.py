"""Where a coroutine goes inside of one function: is it used on all paths, on some, or on none?

Used is whatever may be awaited by somebody: what is returned, stored where it outlives the call, handed to
code of which nobody knows better, or driven by hand. Each path is followed with the variables and containers
that have the coroutine on it; a cancellation is followed only where a scope ends it. Where a choice made at
run time may fall on it or on another (an element of a list, an arm of a conditional expression), it is
followed twice: as the one that is always chosen, and as the one that never is.
"""

import enum

from msgspec import Struct, structs

from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.graph import ALL, CANCELLED, NORMAL, EdgeClass
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, Outcome, PathPoint, PathSearch
from cancellint.analysis.flow.facts import Facts, FactsOf
from cancellint.analysis.hazards.coroutines.decorated import Decorated
from cancellint.analysis.hazards.coroutines.fates import Ended, Fate
from cancellint.analysis.hazards.coroutines.givens import Field, Given, Givens
from cancellint.analysis.hazards.coroutines.grips import (
    DEEPER,
    DRIVES,
    INSIDE,
    ITSELF,
    NO_GRIP,
    Grip,
    Hold,
    grip,
)
from cancellint.analysis.hazards.coroutines.truths import Truths
from cancellint.analysis.memory.values import used_by
from cancellint.analysis.program.expressions import parts
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    Block,
    Build,
    Call,
    Closure,
    Delete,
    Edge,
    Enter,
    Exit,
    Expr,
    Function,
    Item,
    Leaves,
    Load,
    Name,
    Next,
    Raise,
    Return,
    Step,
    Temp,
    Yield,
)
from cancellint.model.types import FunctionKey

MOST_PLACES = Limit(2_000, "places on the way from a coroutine to where it is awaited")


class _State(Struct, frozen=True):
    """What has hold of the coroutine, in order of writing, on one path."""

    holders: tuple[tuple[Expr, Grip], ...]
    passed: Expr | None = None
    """the choice that has not fallen on it"""
    taken: int = -1
    """the loop that has come to it"""


class _Choice(enum.Enum):
    FALLS_ON_IT = enum.auto()
    FALLS_ON_OTHERS = enum.auto()


class Trails:
    """Follows coroutines through the functions that have them."""

    def __init__(self, effects: Effects, decorated: Decorated, facts_of: FactsOf) -> None:
        self._facts_of = facts_of
        self._givens = Givens(effects, decorated, self.follow)
        self._truths = Truths(effects)

    def follow(self, key: FunctionKey, held: Expr, made: int, how: Grip = ITSELF) -> Ended:
        """Follow what step `made` has made, or from the start (-1) what a parameter has."""
        facts = self._facts_of(key)
        calm = self._over(facts, held, made, how, NORMAL)
        if calm.fate is Fate.LOST and self._over(facts, held, made, how, ALL).fate is not Fate.LOST:
            return structs.replace(calm, fate=Fate.SOMETIMES)
        if calm.fate is not Fate.USED:
            return calm
        for taken in (ALL - CANCELLED, ALL - {Leaves.CAUGHT}):
            rough = self._over(facts, held, made, how, taken)
            if rough.fate is not Fate.USED:
                return structs.replace(rough, by_error=True)
        return calm

    def _over(self, facts: Facts, held: Expr, made: int, how: Grip, taken: EdgeClass) -> Ended:
        first = _Walk(facts, self._givens, self._truths, held, made, _Choice.FALLS_ON_IT)
        found = first.follow(how, taken)
        if not first.has_chosen:
            return found
        other = _Walk(facts, self._givens, self._truths, held, made, _Choice.FALLS_ON_OTHERS)
        passed_over = other.follow(how, taken)
        return _joined(found, passed_over)


def _joined(first: Ended, second: Ended) -> Ended:
    if first.fate is second.fate:
        return first
    lost = first if first.fate is not Fate.USED else second
    return structs.replace(lost, fate=Fate.SOMETIMES)


class _Walk:
    """One search through one function."""

    def __init__(
        self, facts: Facts, givens: Givens, truths: Truths, held: Expr, made: int, choice: _Choice
    ) -> None:
        self._facts = facts
        self._function: Function = facts.function
        self._givens = givens
        self._truths = truths
        self._held = held
        self._made = made
        self._choice = choice
        self._shared = _read_by_closures(facts)
        self.has_chosen = False
        self._is_used = False
        self._last_name = ""
        self._left_by: FunctionKey | None = None
        self._forgotten: set[int] = set()

    def follow(self, how: Grip, taken: EdgeClass) -> Ended:
        if isinstance(self._held, Name) and self._held.id in self._shared:
            return Ended(Fate.USED)
        state = _State(((self._held, how),))
        known = self._facts.known_before(self._made) if self._made >= 0 else ()
        block = self._facts.block_of(self._made) if self._made >= 0 else 0
        first = self._made + 1 if self._made >= 0 else -1
        if self._made >= 0:
            known = self._facts.tests.over_step(known, self._made)
        search = PathSearch(
            self._facts.flow,
            self._on_step,
            self._on_edge,
            taken=taken,
            tests=self._facts.tests,
            cap=MOST_PLACES,
        )
        found = search.run([PathPoint(block, state, first, known)])
        if found.outcome is Outcome.UNKNOWN:
            return Ended(Fate.USED)
        if not self._forgotten and all(end.exit != RETURN_EXIT for end in found.ends):
            return Ended(Fate.USED)
        fate = Fate.SOMETIMES if self._is_used else Fate.LOST
        lost = min(self._forgotten, default=-1)
        return Ended(fate, lost, self._last_name, left_by=self._left_by)

    # ----------------------------------------------------------------- steps

    def _on_step(self, here: PathPoint[_State], number: int) -> _State | Halt:
        state = here.state
        if number == self._made:
            state = _without(state, Temp(number))
            return state if state.holders else self._forget(number)
        found = self._after(state, number, self._function.steps[number])
        if found is None:
            self._is_used = True
            return Halt.STOP
        return found if found.holders else self._forget(number)

    def _forget(self, number: int) -> Halt:
        """End a path on which nothing has hold of the coroutine any more."""
        self._forgotten.add(number)
        return Halt.STOP

    def _after(self, state: _State, number: int, step: Step) -> _State | None:
        """Return what has hold of the coroutine after a step, None where that uses it."""
        match step:
            case Await(value=value) | Enter(value=value) | Exit(value=value) | Yield(value=value):
                return self._handed_over(state, number, value)
            case Return(value=value):
                return self._handed_over(state, number, value)
            case Raise(value=value):
                return state if value is None else self._handed_over(state, number, value)
            case Load(value=value):
                resolved, state = self._grip(state, number, value)
                return self._with(state, Temp(number), resolved)
            case Assign():
                return self._assigned(state, number, step)
            case Delete(target=Name() as target):
                return _without(state, target)
            case Call():
                return self._called(state, number, step)
            case Next(value=value):
                return self._iterated(state, number, value)
            case _:
                return state

    def _handed_over(self, state: _State, number: int, value: Expr) -> _State | None:
        resolved, state = self._grip(state, number, value)
        return state if resolved is not None and resolved.hold is Hold.NOTHING else None

    def _grip(self, state: _State, number: int, value: Expr) -> tuple[Grip, _State]:
        """Return what a value has of the coroutine, after the choice, and the state that remembers that."""
        found = grip(value, dict(state.holders))
        if not found.perhaps:
            return found, state
        self.has_chosen = True
        if self._choice is _Choice.FALLS_ON_IT:
            return structs.replace(found, perhaps=False), state
        if self._is_repeated(number) or state.passed not in (None, value):
            return DEEPER, state
        return NO_GRIP, structs.replace(state, passed=value)

    def _is_repeated(self, number: int) -> bool:
        """Tell whether a step runs more than once for one coroutine."""
        loop = self._facts.flow.loop_of(self._facts.block_of(number))
        return loop is not None and (self._made < 0 or self._facts.block_of(self._made) not in loop.blocks)

    def _with(self, state: _State, holder: Expr, found: Grip) -> _State | None:
        """Return a state in which a variable or outcome has what a grip tells, and nothing else."""
        state = _without(state, holder)
        if found.hold is Hold.NOTHING:
            return state
        if isinstance(holder, Name):
            if holder.id in self._shared or self._facts.frame.outlives(holder.id):
                return None
            if self._function.kind in ("module", "class"):
                return None
            if not holder.id.startswith("$"):
                self._last_name = holder.id
        return structs.replace(state, holders=(*state.holders, (holder, found)))

    def _assigned(self, state: _State, number: int, step: Assign) -> _State | None:
        value = step.value
        if step.op == "append" and isinstance(value, Build) and self._is_dict(step.target):
            value = value.items[-1]
        found, state = self._grip(state, number, value)
        match step.target:
            case Name() as target if not step.op:
                return self._with(state, target, found)
            case _ if found.hold is Hold.NOTHING:
                return state
            case Name() as target if step.op == "append":
                return self._with(state, target, INSIDE if found.hold is Hold.ITSELF else DEEPER)
            case Name() as target if step.op == "+" and found.hold is Hold.INSIDE:
                return self._put_into(state, target, INSIDE)
            case Item(base=base):
                return self._put_into(state, base, INSIDE if found.hold is Hold.ITSELF else DEEPER)
            case _:
                return None

    def _put_into(self, state: _State, container: Expr, found: Grip) -> _State | None:
        """Return the state after a container of the function's own was given the coroutine."""
        if not isinstance(container, Name) or not self._is_own_container(container.id):
            return None
        return self._with(state, container, found)

    def _iterated(self, state: _State, number: int, value: Expr) -> _State | None:
        found, state = self._grip(state, number, value)
        return None if found.hold is Hold.DEEPER else state

    # ----------------------------------------------------------------- calls

    def _called(self, state: _State, number: int, step: Call) -> _State | None:
        holders = dict(state.holders)
        if isinstance(step.func, Attr):
            base = grip(step.func.base, holders)
            if base.hold is not Hold.NOTHING:
                return self._method(state, number, step, step.func.name, base)
        elif grip(step.func, holders).hold not in (Hold.NOTHING, Hold.ITSELF):
            return None
        for value in (*step.args, *(value for _, value in step.keywords)):
            found, state = self._grip(state, number, value)
            if found.hold is not Hold.NOTHING:
                after = self._given(state, number, step, value, found)
                if after is None:
                    return None
                state = after
        return state

    def _method(self, state: _State, number: int, step: Call, name: str, base: Grip) -> _State | None:
        """Return the state after a method of what has the coroutine was called."""
        if base.hold is Hold.ITSELF:
            return None if name in DRIVES else state
        if base.hold is not Hold.INSIDE or isinstance(base.place, str) or not isinstance(step.func, Attr):
            return None
        match name:
            case "append" | "appendleft" | "add" | "insert" | "extend" | "update":
                return state if not self._gives_more(state, step) else None
            case "keys" | "index" | "count" | "sort" | "reverse":
                return state
            case "values" | "copy":
                return self._with(state, Temp(number), INSIDE)
            case "clear":
                return _without(state, step.func.base)
            case "pop" | "popleft":
                return self._popped(state, number, step.func.base)
            case "get":
                return self._chosen(state, number, Temp(number), ITSELF)
            case _:
                return None

    def _gives_more(self, state: _State, step: Call) -> bool:
        return any(grip(value, dict(state.holders)).hold is not Hold.NOTHING for value in step.args)

    def _popped(self, state: _State, number: int, container: Expr) -> _State | None:
        self.has_chosen = True
        if self._choice is _Choice.FALLS_ON_IT:
            return structs.replace(state, holders=((Temp(number), ITSELF),))
        return state

    def _chosen(self, state: _State, number: int, holder: Expr, found: Grip) -> _State | None:
        """Return the state after a choice that gives the coroutine to a holder, or gives it another."""
        self.has_chosen = True
        if self._choice is _Choice.FALLS_ON_IT:
            return self._with(state, holder, found)
        if self._is_repeated(number) or state.passed not in (None, holder):
            return None
        return structs.replace(state, passed=holder)

    def _given(self, state: _State, number: int, step: Call, value: Expr, found: Grip) -> _State | None:
        """Return the state after a call was given the coroutine among its arguments."""
        match step.func:
            case Attr(base=base, name="append" | "appendleft" | "add" | "insert"):
                return self._put_into(state, base, INSIDE if found.hold is Hold.ITSELF else DEEPER)
            case Attr(base=base, name="extend" | "update") if found.hold is Hold.INSIDE:
                return self._put_into(state, base, INSIDE)
            case _:
                pass
        becomes = self._givens.what_becomes(self._facts.key, number, value, found)
        match becomes:
            case Given.USED:
                return None
            case Given.IGNORED:
                self._left_by = self._givens.asked(self._facts.key, number)
                return state
            case Given.PERHAPS:
                self._left_by = self._givens.asked(self._facts.key, number)
                return self._chosen_use(state, number)
            case Given.OR_ANOTHER:
                return self._chosen(state, number, Temp(number), ITSELF)
            case Given.PASSED_ON:
                return self._with(state, Temp(number), structs.replace(found, place=-1))
            case Given.PASSED_ON_DEEPER:
                return self._with(state, Temp(number), DEEPER)
            case Field(name=name):
                return self._with(state, Temp(number), Grip(Hold.INSIDE, name))

    def _chosen_use(self, state: _State, number: int) -> _State | None:
        self.has_chosen = True
        if self._choice is _Choice.FALLS_ON_IT or self._is_repeated(number):
            return None
        return state

    # ----------------------------------------------------------------- edges

    def _on_edge(self, here: PathPoint[_State], edge: Edge) -> _State | None:
        block, state = self._facts.flow.blocks[here.block], here.state
        last = self._facts.flow.last_step(here.block)
        if edge.leaves is Leaves.RAISED and not self._is_to_be_expected(block, last):
            return None
        if edge.leaves is Leaves.CAUGHT and self._facts.handlers.is_for_cancellations_only(edge.to):
            return None
        if last is not None and self._iterates(state, last):
            return self._turn(state, last, edge)
        if self._skips_a_loop_with_it(state, here.block, edge):
            return None
        if edge.leaves in (Leaves.TRUE, Leaves.FALSE) and block.test is not None:
            truth = self._truths.of(self._facts.key, self._function, block.test, dict(state.holders))
            return None if truth is not None and truth != (edge.leaves is Leaves.TRUE) else state
        return state

    def _skips_a_loop_with_it(self, state: _State, block: int, edge: Edge) -> bool:
        """Tell whether an edge ends a loop that does something with what has the coroutine.

        That goes through what there is: `for place in range(len(coroutines))`.
        """
        loop = self._facts.flow.loop_of(block)
        if loop is None or loop.header != block or edge.to in loop.blocks or edge.leaves not in NORMAL:
            return False
        if self._made >= 0 and self._facts.block_of(self._made) in loop.blocks:
            return False
        holders = dict(state.holders)
        steps = (self._function.steps[number] for number in self._facts.flow.steps_of(loop.blocks))
        return any(part in holders for step in steps for value in _values(step) for part in parts(value))

    def _is_to_be_expected(self, block: Block, last: int | None) -> bool:
        """Tell whether an exception may well leave a block: it travels, or an await or `raise` ends it."""
        if last is not None and isinstance(self._function.steps[last], Await | Raise | Exit):
            return True
        return all(edge.leaves not in NORMAL for edge in block.edges)

    def _iterates(self, state: _State, number: int) -> bool:
        """Tell whether a loop goes through a container that has the coroutine, or begins with it."""
        step = self._function.steps[number]
        if not isinstance(step, Next):
            return False
        begins = number == self._made and Temp(number) in dict(state.holders)
        return begins or grip(step.value, dict(state.holders)).hold is Hold.INSIDE

    def _turn(self, state: _State, number: int, edge: Edge) -> _State | None:
        """Return the state in a turn of a loop over what has the coroutine, or after the last turn."""
        if edge.leaves not in (Leaves.ITEM, Leaves.EXHAUSTED):
            return state
        if number == self._made:
            return state if edge.leaves is Leaves.ITEM else None
        self.has_chosen = True
        comes_to_it = self._choice is _Choice.FALLS_ON_IT
        if edge.leaves is Leaves.EXHAUSTED:
            return state if comes_to_it and state.taken == number else None
        if not comes_to_it:
            return state
        if state.taken == number:
            return _without(state, Temp(number))
        taken = self._with(state, Temp(number), ITSELF)
        return None if taken is None else structs.replace(taken, taken=number)

    # ----------------------------------------------------------------- variables

    def _is_dict(self, target: Expr) -> bool:
        values = self._values_of(target)
        return bool(values) and all(isinstance(each, Build) and each.kind == "dict" for each in values)

    def _values_of(self, target: Expr) -> list[Expr]:
        return [
            step.value
            for step in self._function.steps
            if isinstance(step, Assign) and step.target == target and not step.op
        ]

    def _is_own_container(self, name: str) -> bool:
        """Tell whether a variable means nothing but containers made in the function."""
        if self._facts.frame.outlives(name) or name in self._facts.frame.params:
            return False
        values = self._values_of(Name(name))
        return bool(values) and all(self._is_new(value) for value in values)

    def _is_new(self, value: Expr) -> bool:
        match value:
            case Build():
                return True
            case Name(id=name) if name.startswith("$"):
                return self._is_own_container(name)
            case Temp(step=step) if isinstance(self._function.steps[step], Call):
                return self._givens.makes_container(self._facts.key, step)
            case _:
                return False


def _without(state: _State, holder: Expr) -> _State:
    """Return a state in which a variable or outcome has something else, or nothing."""
    kept = tuple(pair for pair in state.holders if pair[0] != holder)
    return state if len(kept) == len(state.holders) else structs.replace(state, holders=kept)


def _read_by_closures(facts: Facts) -> frozenset[str]:
    """Return the variables that functions made in a function may read, and those nested in them."""
    found: set[str] = set()
    waiting = [(facts.function, frozenset[str]())]
    while waiting:
        function, own = waiting.pop()
        for part in (part for step in function.steps for value in _values(step) for part in parts(value)):
            if isinstance(part, Closure):
                nested = facts.frame.nested(part.function)
                params = {param.name for param in nested.params}
                waiting.append((nested, own | params | set(nested.locals)))
            elif isinstance(part, Name) and function is not facts.function and part.id not in own:
                found.add(part.id)
    return frozenset(found)


def _values(step: Step) -> tuple[Expr, ...]:
    """Return the expressions that a step evaluates."""
    match step:
        case Assign(target=Attr() | Item() as target, value=value):
            return (target, value)
        case _:
            return used_by(step)
