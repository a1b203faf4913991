"""Copies and conditions that were bound to a variable first, read where they are used.

A forward must analysis: a variable that holds the same as an access path (`writer = self.writer`) is replaced
by it as long as both are sure to be the same; one that holds the outcome of a test (`ready = not self.busy`)
is replaced by the test where it is tested; one that holds what a call gave and is read once, by that outcome.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct, structs

from cancellint.analysis.engine.components import groups
from cancellint.analysis.normal.rewriting import parts, reads, rewritten, rewritten_step
from cancellint.model.ir import (
    Assign,
    Attr,
    Await,
    AwaitKind,
    Block,
    Call,
    Const,
    Delete,
    Enter,
    Evaluate,
    Exit,
    Expr,
    Function,
    Imported,
    Item,
    Leaves,
    Name,
    Op,
    Region,
    Step,
    Temp,
    Yield,
)

_Predicate = Callable[[Expr], bool]

Copies = Mapping[str, Expr]
"""Which variables are sure to be the same as which expression."""

_TESTS = frozenset({"==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not", "not", "and", "or"})
_AUGMENTED = frozenset({"+", "-", "*", "/", "//", "%", "@", "**", "<<", ">>", "&", "|", "^"})


class Replaced(Struct, frozen=True):
    """What else is replaced: names from around a function, and access paths, by what they stand for."""

    names: Mapping[str, Expr] = {}
    paths: Mapping[Expr, Expr] = {}


def propagate(function: Function, shared: frozenset[str], synonyms: Replaced) -> Function:
    """Return a function in which what only stands for something else is replaced by it.

    `shared` are variables that functions inside of it read or write as well. Steps keep their numbers.
    """
    if synonyms.names or synonyms.paths:
        function = _without_synonyms(function, synonyms)
    if any(_is_looked_through(function, step) for step in function.steps):
        function = _Propagation(function, shared).result()
    return _without_dead_branches(_with_plain_steps(function, shared))


class _Propagation:
    """Which copies hold at the start of each block, and the function rewritten by them."""

    def __init__(self, function: Function, shared: frozenset[str]) -> None:
        self._function = function
        self._shared = shared
        self._excluded = frozenset((*function.global_names, *function.nonlocal_names))
        self._read = Counter(
            part.id for expr in _read_in(function) for part in parts(expr) if isinstance(part, Name)
        )
        self._entry: list[Copies | None] = [None] * len(function.blocks)
        self._solve()

    def _solve(self) -> None:
        """Propagate to the greatest fixpoint: at a join only what all predecessors agree on holds."""
        if not self._function.blocks:
            return
        self._entry[0] = {}
        waiting = [0]
        while waiting:
            number = waiting.pop()
            block = self._function.blocks[number]
            entry = self._entry[number]
            assert entry is not None
            before, after = self._through(block, entry)
            for edge in block.edges:
                if edge.to < 0:
                    continue
                leaving = before if edge.leaves in _UNDONE else after
                old = self._entry[edge.to]
                new = leaving if old is None else _agreed(old, leaving)
                if old is None or len(new) < len(old):
                    self._entry[edge.to] = new
                    waiting.append(edge.to)

    def _through(self, block: Block, entry: Copies) -> tuple[Copies, Copies]:
        """Return what holds before the last step of a block and is not undone by it, and after it."""
        copies = dict(entry)
        before = dict(entry)
        for number in range(block.first, block.last):
            before = dict(copies)
            self._transfer(copies, number)
        return {name: value for name, value in before.items() if copies.get(name) == value}, copies

    def _transfer(self, copies: dict[str, Expr], number: int) -> None:
        step = self._function.steps[number]
        _forget(copies, lambda part: part == Temp(number))
        match step:
            case Assign(target=Name(id=name), value=value, op=op):
                value = self._replaced(value, copies)
                copies.pop(name, None)
                _forget(copies, lambda part: part == Name(name))
                reads_itself = any(part == Name(name) for part in parts(value))
                if (
                    not op
                    and not reads_itself
                    and name not in self._excluded
                    and _is_copied(self._function, step)
                ):
                    copies[name] = value
            case Assign(target=Attr(name=name)) | Delete(target=Attr(name=name)):
                _forget(copies, lambda part: isinstance(part, Attr) and part.name == name)
            case Assign(target=Item()) | Delete(target=Item()):
                _forget(copies, lambda part: isinstance(part, Item))
            case Delete(target=Name(id=name)):
                copies.pop(name, None)
                _forget(copies, lambda part: part == Name(name))
            case Await() | Yield():
                _forget(copies, lambda part: isinstance(part, Attr | Item))
            case Call():
                for name, value in list(copies.items()):
                    if isinstance(value, Op) and any(isinstance(part, Attr | Item) for part in parts(value)):
                        del copies[name]
            case _:
                pass

    # ------------------------------------------------------------------ rewriting

    def result(self) -> Function:
        steps = list(self._function.steps)
        blocks = list(self._function.blocks)
        for number, block in enumerate(self._function.blocks):
            entry = self._entry[number]
            if entry is None:
                continue
            copies = dict(entry)
            for at in range(block.first, block.last):
                steps[at] = self._rewritten(steps[at], at, copies)
                self._transfer(copies, at)
            if block.test is not None:
                test = self._tested(block.test, copies)
                if test is not block.test:
                    blocks[number] = structs.replace(block, test=test)
        regions = tuple(_as_entered(region, steps) for region in self._function.regions)
        for at, step in enumerate(steps):
            match step:
                case Exit(region=region) | Await(kind=AwaitKind.EXIT, region=region):
                    steps[at] = structs.replace(step, value=regions[region].value)
                case _:
                    pass
        return structs.replace(self._function, steps=tuple(steps), blocks=tuple(blocks), regions=regions)

    def _rewritten(self, step: Step, at: int, copies: Copies) -> Step:
        if not copies or isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT):
            return step
        match step:
            case Await(value=Name(id=name)) if self._is_outcome_read_once(name, at, copies):
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

    def _truth_asked(self, step: int) -> Expr | None:
        """Return what `bool(...)` is called with."""
        match self._function.steps[step]:
            case Call(func=Name(id="bool"), args=(value,), keywords=()) if (
                "bool" not in self._function.locals
            ):
                return value
            case _:
                return None

    def _is_outcome_read_once(self, name: str, at: int, copies: Copies) -> bool:
        """Tell whether a variable holds what a call gave and is read once, as often as the call is made."""
        made = copies.get(name)
        if not isinstance(made, Temp) or self._read[name] != 1 or name in self._shared:
            return False
        return self._loop_of(made.step) == self._loop_of(at)

    def _loop_of(self, step: int) -> int:
        """Return which strongly connected part of the graph a step lies in."""
        return self._loops[self._block_of[step]]

    @cached_property
    def _block_of(self) -> Mapping[int, int]:
        return {
            step: number
            for number, block in enumerate(self._function.blocks)
            for step in range(block.first, block.last)
        }

    @cached_property
    def _loops(self) -> Mapping[int, int]:
        """Per block, the loop that it lies in, -1 for none."""
        blocks = self._function.blocks

        def following(number: int) -> tuple[int, ...]:
            return tuple(edge.to for edge in blocks[number].edges if edge.to >= 0)

        found: dict[int, int] = {}
        for index, group in enumerate(groups(range(len(blocks)), following)):
            is_loop = len(group) > 1 or group[0] in following(group[0])
            found.update(dict.fromkeys(group, index if is_loop else -1))
        return found

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
            case Temp(step=step) if (asked := self._truth_asked(step)) is not None:
                return asked
            case Op(op="not" | "and" | "or" as op, operands=operands):
                inner = tuple(self._tested(each, copies) for each in operands)
                return test if inner == operands else _simplified(Op(op, inner))
            case _:
                return self._replaced(test, copies)


_UNDONE = frozenset({Leaves.CANCELLED, Leaves.RAISED, Leaves.EXHAUSTED})
"""Along these edges the last step of a block has not happened."""


def _is_looked_through(function: Function, step: Step) -> bool:
    match step:
        case Assign():
            return _is_copied(function, step)
        case Call(func=Name(id="bool")):
            return True
        case _:
            return False


def _is_copied(function: Function, step: Assign) -> bool:
    """Tell whether a variable that is assigned this is worth looking through."""
    match step.value:
        case Attr() | Name() as value:
            return isinstance(step.target, Name) and _is_path(value)
        case Imported(name=str(name)):
            return isinstance(step.target, Name) and step.target.id != name
        case Temp(step=made):
            return isinstance(step.target, Name) and isinstance(function.steps[made], Call)
        case Op(op=op):
            return isinstance(step.target, Name) and op in _TESTS
        case _:
            return False


def _is_path(expr: Expr) -> bool:
    """Tell whether an expression names an object by attributes alone: what is computed has no other name."""
    while isinstance(expr, Attr):
        expr = expr.base
    return isinstance(expr, Name)


def _forget(copies: dict[str, Expr], gone: _Predicate) -> None:
    for name, value in list(copies.items()):
        if any(gone(part) for part in parts(value)):
            del copies[name]


def _agreed(one: Copies, other: Copies) -> Copies:
    return {name: value for name, value in one.items() if other.get(name) == value}


def _as_entered(region: Region, steps: list[Step]) -> Region:
    match steps[region.enter]:
        case Enter(value=value) | Await(value=value):
            return structs.replace(region, value=value)
        case _:
            return region


def _simplified(test: Op) -> Expr:
    match test:
        case Op(op="not", operands=(Op(op="not", operands=(inner,)),)):
            return inner
        case _:
            return test


def names_read(function: Function) -> frozenset[str]:
    """Return the variables that a function reads, or binds for the functions around it."""
    read = {part.id for expr in _read_in(function) for part in parts(expr) if isinstance(part, Name)}
    return frozenset((*read, *function.nonlocal_names))


def _read_in(function: Function) -> Iterator[Expr]:
    for step in function.steps:
        yield from reads(step)
        if isinstance(step, Assign) and step.op and isinstance(step.target, Name):
            yield step.target
    for block in function.blocks:
        if block.test is not None:
            yield block.test


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


def _without_synonyms(function: Function, synonyms: Replaced) -> Function:
    """Return a function in which what has a name of its own is called by it."""

    def replace(expr: Expr) -> Expr | None:
        match expr:
            case Name(id=name):
                return synonyms.names.get(name)
            case Attr():
                return synonyms.paths.get(expr)
            case _:
                return None

    return structs.replace(
        function,
        steps=tuple([rewritten_step(step, replace) for step in function.steps]),
        blocks=tuple(
            [
                block if block.test is None else structs.replace(block, test=rewritten(block.test, replace))
                for block in function.blocks
            ]
        ),
        regions=tuple(
            [structs.replace(each, value=rewritten(each.value, replace)) for each in function.regions]
        ),
    )


def _with_plain_steps(function: Function, shared: frozenset[str]) -> Function:
    """Return a function in which `x = x + y` is `x += y`, and nothing is bound that nobody reads.

    What an await gives is not used if it goes into such a variable; and what a variable is another name for
    need not be said if it is not.
    """
    read = {part.id for expr in _read_in(function) for part in parts(expr) if isinstance(part, Name)}
    kept = {*read, *shared, *function.global_names, *function.nonlocal_names}
    steps = [_augmented(step) for step in function.steps]
    for number, step in enumerate(function.steps):
        match step:
            case Assign(target=Name(id=name), value=value, op="") if name not in kept:
                if isinstance(value, Temp) and isinstance(made := steps[value.step], Await):
                    steps[value.step] = structs.replace(made, used=False)
                elif isinstance(value, Attr) and _is_path(value):
                    steps[number] = Evaluate(value)
    same = all(a is b for a, b in zip(steps, function.steps, strict=True))
    return function if same else structs.replace(function, steps=tuple(steps))


def _augmented(step: Step) -> Step:
    match step:
        case Assign(target=target, value=Op(op=op, operands=(first, second)), op="") if op in _AUGMENTED:
            if first == target:
                return Assign(target, second, op)
            if second == target and op == "+" and isinstance(first, Const) and first.kind == "int":
                return Assign(target, first, op)
        case _:
            pass
    return step
