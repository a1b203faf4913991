"""Copies and conditions that were bound to a variable first, read where they are used.

A forward must analysis: a variable that holds the same as an access path (`writer = self.writer`) is replaced
by it as long as both are sure to be the same; one that holds the outcome of a test (`ready = not self.busy`)
is replaced by the test where it is tested; one that holds what a call gave and is read once, by that outcome.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct, structs

from cancellint.analysis.engine.graph import UNFINISHED, ControlFlow
from cancellint.analysis.engine.solver import solve
from cancellint.analysis.normal.rewriting import (
    rewritten,
    rewritten_block,
    rewritten_region,
    rewritten_step,
    tally,
    with_parts,
    with_steps,
)
from cancellint.analysis.program.expressions import names_in, parts
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Edge,
    Evaluate,
    Exit,
    Expr,
    Function,
    Imported,
    Item,
    Leaves,
    Name,
    Op,
    Return,
    Step,
    Temp,
    Yield,
)

Copies = Mapping[str, Expr]
"""Which variables are sure to be the same as which expression."""

_TESTS = frozenset({"==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "not", "and", "or"})
_BOOL = Name("bool")
_AUGMENTED = frozenset({"+", "-", "*", "/", "//", "%", "@", "**", "<<", ">>", "&", "|", "^"})


class Settled(Struct, frozen=True):
    """What stays the same object whoever runs: attributes that constructors alone assign, and imports."""

    attributes: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    """attributes that something else than a constructor assigns"""

    def holds(self, part: Expr) -> bool:
        """Tell whether the last name of an access path always means the same object there."""
        return isinstance(part, Attr) and (part.name in self.attributes or _root(part) in self.imports)


class Replaced(Struct, frozen=True):
    """What else is replaced: names from around a function, and access paths, by what they stand for."""

    names: Mapping[str, Expr] = {}
    paths: Mapping[Expr, Expr] = {}
    settled: Settled = Settled()


def propagate(function: Function, shared: frozenset[str], synonyms: Replaced) -> Function:
    """Return a function in which what only stands for something else is replaced by it.

    `shared` are variables that functions inside of it read or write as well. Steps keep their numbers.
    """
    function = without_synonyms(function, synonyms)
    if _may_copy(function) or _asks_truth(function):
        propagation = _Propagation(function, shared, synonyms.settled)
        if propagation.is_of_use:
            function = propagation.result()
    return _without_dead_branches(_with_plain_steps(function, shared))


class _Rests(Struct, frozen=True):
    """What a copy rests on. `on_others`: on attributes or items that others may change while they run."""

    names: frozenset[str]
    attributes: frozenset[str]
    outcomes: frozenset[int]
    on_items: bool
    on_others: bool


class _Propagation:
    """Which copies hold at the start of each block, and the function rewritten by them."""

    def __init__(self, function: Function, shared: frozenset[str], settled: Settled) -> None:
        self._function = function
        self._shared = shared
        self._settled = settled
        self._excluded = frozenset((*function.global_names, *function.nonlocal_names))
        self._tally = tally(function)
        called = Counter(
            step.func.id for step in function.steps if isinstance(step, Call) and isinstance(step.func, Name)
        )
        self._only_called = {
            name for name, count in called.items() if count == self._tally.names.get(name, 0)
        }
        self._copied = {
            number: step.target.id
            for number, step in enumerate(function.steps)
            if isinstance(step, Assign) and isinstance(step.target, Name) and self._is_copied(step)
        }
        self._asks_truth = _asks_truth(function)
        self.is_of_use = bool(self._copied) or self._asks_truth
        self._rested: dict[tuple[str, Expr], _Rests] = {}
        self._entry: tuple[Copies | None, ...] = ()
        self._disturbing: frozenset[int] = frozenset()
        if self.is_of_use:
            self._disturbing = self._find_disturbing()
            self._flow = ControlFlow(function.blocks)
            self._entry = solve(self._flow, self).entry

    def _is_copied(self, step: Assign) -> bool:
        """Tell whether a variable that is assigned this is worth looking through."""
        assert isinstance(step.target, Name)
        name = step.target.id
        read = self._tally.names.get(name, 0)
        if step.op or name in self._excluded or not read:
            return False
        match step.value:
            case Attr() | Name() as value:
                return _is_path(value)
            case Imported(name=str(imported)):
                return name != imported
            case Temp(step=made):
                once = read == 1 and self._tally.outcomes.get(made) == 1
                only_asked = read == self._tally.tested.get(name)
                return (once or only_asked) and isinstance(self._function.steps[made], Call)
            case Op(op=op):
                return op in _TESTS and name in self._tally.tested
            case _:
                return False

    # ------------------------------------------------------------------ the analysis

    def start(self) -> Copies:
        return {}

    def over_step(self, state: Copies, step: int) -> Copies:
        """Forget what a step may have changed, and add what it binds."""
        node = self._function.steps[step]
        bound = self._copied.get(step)
        if not state and bound is None:
            return state
        if bound is None and step not in self._disturbing:
            return state
        value = self._replaced(node.value, state) if isinstance(node, Assign) and bound else None
        copies = self._unchanged(state, step)
        if bound is not None and value is not None and bound not in names_in(value):
            copies[bound] = value
        return copies

    def happens(self, step: int, edge: Edge) -> bool:
        return edge.leaves not in UNFINISHED

    def over_edge(self, state: Copies, block: int, edge: Edge) -> Copies:
        """What travels may come from any step of the block, and others have run while it was suspended."""
        last = self._flow.last_step(block)
        if edge.leaves not in UNFINISHED or last is None or not state:
            return state
        bound = {self._copied.get(step) for step in self._flow.steps(block)}
        return {name: value for name, value in self._unchanged(state, last).items() if name not in bound}

    def join(self, known: Copies, arriving: Copies) -> Copies:
        """Only what all predecessors agree on holds."""
        if all(arriving.get(name) == value for name, value in known.items()):
            return known
        return {name: value for name, value in known.items() if arriving.get(name) == value}

    def _unchanged(self, copies: Copies, number: int) -> dict[str, Expr]:
        return {name: copied for name, copied in copies.items() if not self._is_changed(name, copied, number)}

    def _is_changed(self, name: str, copied: Expr, number: int) -> bool:
        """Tell whether a step may give a variable, or a part of what it stands for, another value.

        What a call does to attributes changes the outcome of a test of them; the object that an access path
        names is taken to stay the same until somebody else may run, or the attribute is assigned.
        """
        rests = self._rests(name, copied)
        match self._function.steps[number]:
            case Assign(target=Name(id=bound)) | Delete(target=Name(id=bound)):
                return bound in rests.names
            case Assign(target=Attr(name=attribute)) | Delete(target=Attr(name=attribute)):
                return attribute in rests.attributes
            case Assign(target=Item()) | Delete(target=Item()):
                return rests.on_items
            case Await() | Yield():
                return rests.on_others or number in rests.outcomes
            case Call():
                return number in rests.outcomes or (rests.on_others and isinstance(copied, Op))
            case _:
                return number in rests.outcomes

    def _find_disturbing(self) -> frozenset[int]:
        """Return the steps by which some copy may be one no longer; most steps change none."""
        values = [self._assigned(step) for step in self._copied]
        made = {part.step for value in values for part in parts(value) if isinstance(part, Temp)}
        changing: tuple[type[Step], ...] = (Assign, Delete, Await, Yield)
        if any(isinstance(value, Op) for value in values):
            changing = (*changing, Call)
        steps = enumerate(self._function.steps)
        return frozenset(number for number, step in steps if number in made or isinstance(step, changing))

    def _assigned(self, number: int) -> Expr:
        step = self._function.steps[number]
        assert isinstance(step, Assign)
        return step.value

    def _rests(self, name: str, copied: Expr) -> _Rests:
        asked = (name, copied)
        if asked not in self._rested:
            self._rested[asked] = self._find_rests(name, copied)
        return self._rested[asked]

    def _find_rests(self, name: str, copied: Expr) -> _Rests:
        every = tuple(parts(copied))
        is_method = name in self._only_called and isinstance(copied, Attr)
        return _Rests(
            names=frozenset((name, *(part.id for part in every if isinstance(part, Name)))),
            attributes=frozenset(part.name for part in every if isinstance(part, Attr)),
            outcomes=frozenset(part.step for part in every if isinstance(part, Temp)),
            on_items=any(isinstance(part, Item) for part in every),
            on_others=any(
                isinstance(part, Attr | Item)
                and not self._settled.holds(part)
                and not (is_method and part == copied and self._is_method(part))
                for part in every
            ),
        )

    def _is_method(self, part: Expr) -> bool:
        """Tell whether a path ends in a method of an object, as far as is known."""
        return isinstance(part, Attr) and part.name not in self._settled.changed

    # ------------------------------------------------------------------ rewriting

    def result(self) -> Function:
        steps = list(self._function.steps)
        blocks = list(self._function.blocks)
        for number, block in enumerate(self._function.blocks):
            entry = self._entry[number]
            if entry is None:
                continue
            copies = entry
            for at in range(block.first, block.last):
                steps[at] = self._rewritten(steps[at], at, copies)
                copies = self.over_step(copies, at)
            if block.test is not None:
                test = self._tested(block.test, copies)
                if test is not block.test:
                    blocks[number] = structs.replace(block, test=test)
        whole = with_steps(self._function, steps, blocks)
        return self._without_idle_questions(whole) if self._asks_truth else whole

    def _without_idle_questions(self, function: Function) -> Function:
        """Return a function in which `bool(...)` is no call where a test asks what it was given instead."""
        used = tally(function).outcomes
        steps = tuple(
            step if number in used or (asked := self._truth_asked(step)) is None else Evaluate(asked)
            for number, step in enumerate(function.steps)
        )
        return structs.replace(function, steps=steps)

    def _rewritten(self, step: Step, at: int, copies: Copies) -> Step:
        if not copies or isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT):
            return step
        match step:
            case Await(value=Name(id=name)) | Assign(value=Name(id=name)) | Return(value=Name(id=name)) if (
                self._is_outcome_read_once(name, at, copies)
            ):
                return structs.replace(step, value=copies[name])
            case Call(args=args):
                args = tuple(
                    copies[each.id]
                    if isinstance(each, Name) and self._is_outcome_read_once(each.id, at, copies)
                    else each
                    for each in args
                )
                step = step if args == step.args else structs.replace(step, args=args)
            case _:
                pass
        return rewritten_step(step, lambda expr: self._replacement(expr, copies))

    def _truth_asked(self, step: Step) -> Expr | None:
        """Return what `bool(...)` is called with."""
        match step:
            case Call(func=func, args=(value,), keywords=()) if func == _BOOL:
                return value if _BOOL.id not in self._function.locals else None
            case _:
                return None

    def _is_outcome_read_once(self, name: str, at: int, copies: Copies) -> bool:
        """Tell whether a variable holds what a call gave and is read once, as often as the call is made."""
        made = copies.get(name)
        if not isinstance(made, Temp) or self._tally.names.get(name) != 1 or name in self._shared:
            return False
        flow = self._flow
        return flow.cycle(flow.block_of(made.step)) == flow.cycle(flow.block_of(at))

    def _replacement(self, expr: Expr, copies: Copies) -> Expr | None:
        """Return the access path that a variable is the same as."""
        found = copies.get(expr.id) if isinstance(expr, Name) else None
        return found if isinstance(found, Imported) or (found is not None and _is_path(found)) else None

    def _replaced(self, expr: Expr, copies: Copies) -> Expr:
        return rewritten(expr, lambda part: self._replacement(part, copies)) if copies else expr

    def _tested(self, test: Expr, copies: Copies) -> Expr:
        """Return a test with the conditions that its variables stand for."""
        match test:
            case Name(id=name) if name in copies:
                return copies[name]
            case Temp(step=made) if (asked := self._truth_asked(self._function.steps[made])) is not None:
                return self._tested(asked, copies)
            case Op(op="not" | "and" | "or" as op, operands=operands):
                inner = tuple(self._tested(each, copies) for each in operands)
                return test if inner == operands else _simplified(Op(op, inner))
            case _:
                return self._replaced(test, copies)


def _may_copy(function: Function) -> bool:
    """Tell cheaply whether a function binds anything to a variable that may be worth looking through."""
    for step in function.steps:
        match step:
            case Assign(target=Name(id=name), value=value, op=""):
                match value:
                    case Temp(step=made) if isinstance(function.steps[made], Call):
                        return True
                    case Imported(name=str(imported)) if imported != name:
                        return True
                    case Op(op=op) if op in _TESTS:
                        return True
                    case Attr() | Name() if _is_path(value):
                        return True
            case _:
                pass
    return False


def _asks_truth(function: Function) -> bool:
    return any(isinstance(step, Call) and step.func == _BOOL for step in function.steps)


def _is_path(expr: Expr) -> bool:
    """Tell whether an expression names an object by attributes alone: what is computed has no other name."""
    while isinstance(expr, Attr):
        expr = expr.base
    return isinstance(expr, Name)


def _root(expr: Expr) -> str | None:
    while isinstance(expr, Attr):
        expr = expr.base
    return expr.id if isinstance(expr, Name) else None


def _simplified(test: Op) -> Expr:
    match test:
        case Op(op="not", operands=(Op(op="not", operands=(inner,)),)):
            return inner
        case _:
            return test


def names_read(function: Function) -> frozenset[str]:
    """Return the variables that a function reads, or binds for the functions around it."""
    return frozenset((*tally(function).names, *function.nonlocal_names))


def _without_dead_branches(function: Function) -> Function:
    """Return a function without the branches that its tests, all of constants, never take."""
    never = {
        number: Leaves.FALSE if truth else Leaves.TRUE
        for number, block in enumerate(function.blocks)
        if block.test is not None and (truth := _truth(block.test)) is not None
    }
    if not never:
        return function
    blocks = tuple(
        structs.replace(block, edges=tuple(edge for edge in block.edges if edge.leaves is not never[number]))
        if number in never
        else block
        for number, block in enumerate(function.blocks)
    )
    return structs.replace(function, blocks=blocks)


def _truth(test: Expr) -> bool | None:
    """Return how a test of constants comes out, None for any other."""
    match test:
        case Const(kind="none"):
            return False
        case Const(kind="bool", text=text):
            return text == "True"
        case Op(op="not", operands=(inner,)):
            truth = _truth(inner)
            return None if truth is None else not truth
        case Op(op="is" | "==", operands=(Const() as one, Const() as other)):
            return one == other
        case Op(op="is not" | "!=", operands=(Const() as one, Const() as other)):
            return one != other
        case _:
            return None


def without_synonyms(function: Function, synonyms: Replaced) -> Function:
    """Return a function in which what has a name of its own is called by it."""
    if not synonyms.names and not synonyms.paths:
        return function

    def replace(expr: Expr) -> Expr | None:
        match expr:
            case Name(id=name):
                return synonyms.names.get(name)
            case Attr():
                return synonyms.paths.get(expr)
            case _:
                return None

    return with_parts(
        function,
        [rewritten_step(step, replace) for step in function.steps],
        [rewritten_block(block, replace) for block in function.blocks],
        [rewritten_region(region, replace) for region in function.regions],
    )


def _with_plain_steps(function: Function, shared: frozenset[str]) -> Function:
    """Return a function in which `x = x + y` is `x += y`, and nothing is bound that nobody reads.

    What an await gives is not used if it goes into such a variable; and what a variable is another name for
    need not be said if it is not.
    """
    changed: dict[int, Step] = {}
    for number, step in enumerate(function.steps):
        if isinstance(step, Assign) and (new := _augmented(step)) is not step:
            changed[number] = new
    for number, step in _idle_bindings(function, shared):
        if isinstance(step.value, Temp):
            made = function.steps[step.value.step]
            assert isinstance(made, Await)
            changed[step.value.step] = structs.replace(made, used=False)
        else:
            changed[number] = Evaluate(step.value)
    if not changed:
        return function
    steps = tuple(changed.get(number, step) for number, step in enumerate(function.steps))
    return structs.replace(function, steps=steps)


def _idle_bindings(function: Function, shared: frozenset[str]) -> Iterator[tuple[int, Assign]]:
    """Yield what binds variables that nobody reads to access paths, or to what an await gives."""
    candidates = [
        (number, step, step.target.id)
        for number, step in enumerate(function.steps)
        if isinstance(step, Assign) and isinstance(step.target, Name) and not step.op
        if (isinstance(step.value, Temp) and isinstance(function.steps[step.value.step], Await))
        or (isinstance(step.value, Attr) and _is_path(step.value))
    ]
    if candidates:
        read = tally(function).names
        kept = {*read, *shared, *function.global_names, *function.nonlocal_names}
        yield from ((number, step) for number, step, name in candidates if name not in kept)


def _augmented(step: Assign) -> Assign:
    match step:
        case Assign(target=target, value=Op(op=op, operands=(first, second)), op="") if op in _AUGMENTED:
            if first == target:
                return Assign(target, second, op)
            if second == target and op == "+" and isinstance(first, Const) and first.kind == "int":
                return Assign(target, first, op)
        case _:
            pass
    return step
