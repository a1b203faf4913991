"""The body of a called function in the place of its call, on the control-flow graph.

A plain call of a function whose definition is known means what its body means there: what the caller
catches, the callee's exceptions meet; what the callee returns, the call gives; an `await` of a coroutine that
was just made runs it in place.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, structs

from cancellint.analysis.normal.rewriting import Replace, rewritten, rewritten_step
from cancellint.analysis.program.arguments import bind
from cancellint.model.ir import (
    CANCEL_EXIT,
    RAISE_EXIT,
    RETURN_EXIT,
    Annotation,
    Assign,
    Await,
    Block,
    Build,
    Call,
    Const,
    Delete,
    Edge,
    Enter,
    Exit,
    Expr,
    Function,
    Item,
    Leaves,
    Name,
    Next,
    Param,
    Region,
    Return,
    Step,
    Temp,
)
from cancellint.model.types import CallSite, FunctionKey

_NONE = Const("none", "None")

_Edges = list[tuple["_Block | int", Leaves]]


Chain = tuple[CallSite, ...]
Chains = tuple[Chain, ...]
"""One for each step of a function."""


class Expanded(Struct, frozen=True):
    """A function with bodies of others in it.

    `chains` says, per step, where it was written: first the function's own step that it belongs to, then,
    from one helper to the next, the step there; its own place comes last.
    """

    function: Function
    chains: Chains


class Inlined(Struct, frozen=True):
    """A call that is to be replaced by a body.

    `awaited` is the step that waits for the coroutine, `call` itself where the callee is none; `given` says
    which parameter receives which expression.
    """

    call: int
    awaited: int
    callee: Expanded
    given: Mapping[int, Expr]


def arguments(params: Sequence[Param], receiver: Expr | None, call: Call) -> dict[int, Expr] | None:
    """Return which parameter receives which expression, None where that is not plain to see."""
    bound = bind(params, call.args if receiver is None else (receiver, *call.args), call.keywords)
    if not bound.fits or bound.open:
        return None
    given = dict(bound.given)
    for index, param in enumerate(params):
        if param.kind == "varargs":
            given[index] = Build("tuple", bound.rest)
        elif param.kind == "varkwargs":
            return None
        elif index not in given:
            if not isinstance(param.default, Const):
                return None
            given[index] = param.default
    return given


def whole(key: FunctionKey, function: Function) -> Expanded:
    """Return a function as it was written, before anything is put into it."""
    return Expanded(function, tuple((CallSite(key, number),) for number in range(len(function.steps))))


def inline(caller: Expanded, calls: Sequence[Inlined]) -> Expanded:
    """Return a function with the bodies of these callees in the place of their calls."""
    draft = _Draft(caller)
    for each in calls:
        draft.replace(each)
    return draft.finished()


class _Step(Struct, frozen=True):
    """A step under a name of its own, by which `Temp`s speak of it until all are numbered again."""

    name: int
    step: Step
    chain: Chain


class _Block:
    """A block in the making; edges lead to other such blocks, or out of the function."""

    def __init__(self, like: Block) -> None:
        self.steps: list[_Step] = []
        self.edges: _Edges = []
        self.test = like.test
        self.regions = like.regions
        self.cleanup = like.cleanup


class _Region(Struct):
    value: Expr
    is_async: bool
    enter: int
    after: _Block | int


class _Exits(Struct, frozen=True):
    """Where the ways out of a body lead in the function that it is put into."""

    returned: _Edges
    raised: _Edges
    cancelled: _Edges


class _Draft:
    """A function in the making. Steps keep their names; numbers are given at the end."""

    def __init__(self, function: Expanded) -> None:
        self._expanded = function
        self._names = 0
        self._taken = {*function.function.locals, *(param.name for param in function.function.params)}
        self._new_locals: list[str] = []
        self._annotations: list[Annotation] = []
        self._values: dict[int, Expr] = {}
        """what stands for the outcome of a step that is gone"""
        self._regions: list[_Region] = []
        self._blocks = self._copied(function, lambda _: None)

    # ------------------------------------------------------------------ copying

    def _copied(self, what: Expanded, replace: Replace) -> list[_Block]:
        """Copy blocks and regions; steps are named anew, and what they read and bind is replaced."""
        base, first_region = self._names, len(self._regions)
        function = what.function
        self._names += len(function.steps)

        def renamed(expr: Expr) -> Expr | None:
            return Temp(expr.step + base) if isinstance(expr, Temp) else replace(expr)

        blocks = [_Block(block) for block in function.blocks]
        for region in function.regions:
            after = blocks[region.after] if region.after >= 0 else -1
            value = rewritten(region.value, renamed)
            self._regions.append(_Region(value, region.is_async, region.enter + base, after))
        for block, new in zip(function.blocks, blocks, strict=True):
            new.edges = [(blocks[edge.to] if edge.to >= 0 else edge.to, edge.leaves) for edge in block.edges]
            new.regions = tuple(region + first_region for region in block.regions)
            if block.test is not None:
                new.test = rewritten(block.test, renamed)
            for number in range(block.first, block.last):
                step = _moved(function.steps[number], renamed, first_region)
                new.steps.append(_Step(number + base, step, what.chains[number]))
        return blocks

    # ------------------------------------------------------------------ one call

    def replace(self, what: Inlined) -> None:
        """Put a body in the place of a call."""
        before, position = self._find(what.awaited)
        at = before.steps[position]
        exits = _Exits(
            self._cut_out(before, position, what),
            [edge for edge in before.edges if edge[1] is Leaves.RAISED] or [(RAISE_EXIT, Leaves.RAISED)],
            [edge for edge in before.edges if edge[1] is Leaves.CANCELLED]
            or [(CANCEL_EXIT, Leaves.CANCELLED)],
        )
        body, result = self._body(what, at)
        before.edges = [(body[0], Leaves.NORMAL), *(_into_handlers(exits) if before.steps else ())]
        before.test = None
        for block in body:
            block.regions = (*before.regions, *block.regions)
            block.cleanup |= before.cleanup
            _lead_out(block, exits)
        self._values[what.awaited] = result
        where = self._blocks.index(before) + 1
        self._blocks[where:where] = body

    def _find(self, name: int) -> tuple[_Block, int]:
        for block in self._blocks:
            for position, step in enumerate(block.steps):
                if step.name == name:
                    return block, position
        raise LookupError(name)

    def _cut_out(self, before: _Block, position: int, what: Inlined) -> _Edges:
        """Take the call, and the await of it, out of its block; return where control goes on after it."""
        if what.awaited != what.call:
            before.steps = [step for step in before.steps if step.name not in (what.call, what.awaited)]
            return [(to, Leaves.NORMAL) for to, leaves in before.edges if leaves is Leaves.RESUMED]
        after = _Block(Block(0, 0, (), before.test, before.regions, before.cleanup))
        after.steps, before.steps = before.steps[position + 1 :], before.steps[:position]
        after.edges = list(before.edges)
        self._blocks.insert(self._blocks.index(before) + 1, after)
        return [(after, Leaves.NORMAL)]

    def _body(self, what: Inlined, at: _Step) -> tuple[list[_Block], Expr]:
        """Return the callee's blocks under names that the caller does not have, and what they return."""
        function = what.callee.function
        direct = dict(_standing_for_parameters(function, what.given))
        names: dict[str, str] = {}
        for name in (*(param.name for param in function.params), *function.locals):
            if name not in direct and name not in names:
                names[name] = self._renamed(name)

        def renamed(expr: Expr) -> Expr | None:
            match expr:
                case Name(id=name):
                    return direct.get(name) or Name(names.get(name, name))
                case _:
                    return None

        entry = _Block(Block(0, 0, ()))
        for index, param in enumerate(function.params):
            if param.name in names:
                self._bind(entry, names[param.name], what.given[index], at)
                if param.annotation is not None:
                    self._annotations.append(Annotation(names[param.name], param.annotation))
        self._annotations += [
            Annotation(names[each.name], each.type) for each in function.annotations if each.name in names
        ]
        blocks = self._copied(what.callee, renamed)
        for block in blocks:
            block.steps = [structs.replace(step, chain=(*at.chain, *step.chain)) for step in block.steps]
        entry.edges = [(blocks[0], Leaves.NORMAL)]
        return [entry, *blocks], self._result(entry, blocks, function.name, at)

    def _bind(self, block: _Block, name: str, value: Expr, at: _Step) -> None:
        step = Assign(Name(name), value)
        block.steps.append(_Step(self._names, step, at.chain))
        self._names += 1

    def _result(self, entry: _Block, body: list[_Block], name: str, at: _Step) -> Expr:
        """Return what stands for the value that a body returns, and make of its `Return`s what binds it."""
        values = {step.step.value for block in body for step in block.steps if isinstance(step.step, Return)}
        if not values:
            return _NONE
        only = next(iter(values))
        falls = any(_falls_off(block) for block in body)
        if len(values) == 1 and not falls and isinstance(only, Name | Temp | Const):
            for block in body:
                block.steps = [step for step in block.steps if not isinstance(step.step, Return)]
            return only
        result = self._renamed(f"{name}()")
        if falls:
            self._bind(entry, result, _NONE, at)
        for block in body:
            for position, step in enumerate(block.steps):
                if isinstance(step.step, Return):
                    bound = Assign(Name(result), step.step.value)
                    block.steps[position] = structs.replace(step, step=bound)
        return Name(result)

    def _renamed(self, name: str) -> str:
        """Return a name for a callee's variable that the caller does not have yet."""
        new, count = name, 1
        while new in self._taken:
            count += 1
            new = f"{name}${count}"
        self._taken.add(new)
        self._new_locals.append(new)
        return new

    # ------------------------------------------------------------------ the end

    def finished(self) -> Expanded:
        """Return the function with steps, blocks and regions numbered. The draft is used up."""
        steps = [step for block in self._blocks for step in block.steps]
        numbers = {step.name: number for number, step in enumerate(steps)}
        places = {id(block): number for number, block in enumerate(self._blocks)}
        numbered = _Numbered(self._values, numbers)

        def place(target: _Block | int) -> int:
            return places[id(target)] if isinstance(target, _Block) else target

        blocks = []
        first = 0
        for block in self._blocks:
            edges = tuple(dict.fromkeys(Edge(place(to), leaves) for to, leaves in block.edges))
            test = None if block.test is None else rewritten(block.test, numbered)
            last = first + len(block.steps)
            blocks.append(Block(first, last, edges, test, block.regions, block.cleanup))
            first = last
        function = structs.replace(
            self._expanded.function,
            steps=tuple(rewritten_step(step.step, numbered) for step in steps),
            blocks=tuple(blocks),
            regions=tuple(
                Region(rewritten(each.value, numbered), each.is_async, numbers[each.enter], place(each.after))
                for each in self._regions
            ),
            locals=tuple(sorted({*self._expanded.function.locals, *self._new_locals})),
            annotations=(*self._expanded.function.annotations, *self._annotations),
        )
        for block in self._blocks:
            block.edges.clear()  # they lead round in cycles, which nobody would collect
        return Expanded(function, tuple(step.chain for step in steps))


class _Numbered(Struct, frozen=True):
    """Speaks of steps by number instead of by name, or by what stands for those that are gone."""

    values: Mapping[int, Expr]
    numbers: Mapping[int, int]

    def __call__(self, expr: Expr) -> Expr | None:
        if not isinstance(expr, Temp):
            return None
        value = self.values.get(expr.step)
        return Temp(self.numbers[expr.step]) if value is None else rewritten(value, self)


def _moved(step: Step, replace: Replace, first_region: int) -> Step:
    """Return a step with what it reads and binds replaced, in regions numbered from `first_region`."""
    new = rewritten_step(step, replace)
    match new:
        case Assign(target=Name() as target):
            return structs.replace(new, target=replace(target) or target)
        case Delete(target=Name() as target):
            return Delete(replace(target) or target)
        case Await(region=region) | Enter(region=region) | Exit(region=region) if region >= 0:
            return structs.replace(new, region=region + first_region)
        case _:
            return new


_CHANGEABLE = frozenset({Name("bytearray"), Name("list"), Name("set"), Name("dict")})
"""Types of which `+=` and its like change the object itself."""


def _is_changeable(annotation: Expr | None) -> bool:
    match annotation:
        case Item(base=base):
            return base in _CHANGEABLE
        case _:
            return annotation in _CHANGEABLE


def _standing_for_parameters(function: Function, given: Mapping[int, Expr]) -> Iterator[tuple[str, Expr]]:
    """Yield the parameters that what they are given can stand for: they are never bound anew.

    A declared type is worth keeping: such a parameter stays a variable, but for the receiver.
    """
    changeable = {param.name for param in function.params if _is_changeable(param.annotation)}
    stored = {
        step.target.id
        for step in function.steps
        if isinstance(step, Assign | Delete) and isinstance(step.target, Name)
        if not (isinstance(step, Assign) and step.op and step.target.id in changeable)
    }
    for index, param in enumerate(function.params):
        typed = param.annotation is not None and index > 0 and param.name not in changeable
        lasting = isinstance(given[index], Const) or (isinstance(given[index], Name | Temp) and not typed)
        if param.name not in stored and lasting:
            yield param.name, given[index]


def _into_handlers(exits: _Exits) -> _Edges:
    return [edge for edge in exits.raised if isinstance(edge[0], _Block)]


def _lead_out(block: _Block, exits: _Exits) -> None:
    """Let the edges that leave a body lead on in the function around it."""
    raises = any(leaves is Leaves.RAISED for _, leaves in block.edges)
    risky = any(isinstance(step.step, Call | Next | Enter | Exit | Delete) for step in block.steps)
    led: _Edges = []
    for to, leaves in block.edges:
        match to:
            case int() if to == RETURN_EXIT:
                led += exits.returned
            case int() if to == RAISE_EXIT:
                converts = leaves is Leaves.CONVERTED
                led += [(then, leaves if converts else raised) for then, raised in exits.raised]
            case int() if to == CANCEL_EXIT:
                led += exits.cancelled
            case _:
                led.append((to, leaves))
    block.edges = [*led, *(_into_handlers(exits) if risky and not raises else ())]


def _falls_off(block: _Block) -> bool:
    """Tell whether control leaves a body here without a `return`, as far as the block itself tells."""
    leaves_here = any(to == RETURN_EXIT for to, _ in block.edges)
    return leaves_here and not any(isinstance(step.step, Return) for step in block.steps)
