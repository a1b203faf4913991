"""Variables that hold now one thing and now another, told apart: each web of definitions and uses is one.

Two definitions belong together if some use may see either. What a helper was given in one call and in another
shares no use, though the function that calls it had both in one variable.
"""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, structs

from cancellint.analysis.engine.graph import ControlFlow
from cancellint.analysis.engine.solver import solve
from cancellint.analysis.normal.rewriting import reads, rewritten, rewritten_step, with_steps
from cancellint.analysis.program.expressions import names_in
from cancellint.model.ir import (
    Annotation,
    Assign,
    Await,
    AwaitKind,
    Delete,
    Edge,
    Exit,
    Expr,
    Function,
    Leaves,
    Name,
    Step,
)

UNBOUND = -1
"""What a variable holds before its first definition, as a definition."""


def split_variables(function: Function, shared: frozenset[str]) -> Function:
    """Return a function in which each web of a variable has a name of its own.

    `shared` are variables that functions inside of it read or write as well. Steps keep their numbers.
    """
    variables = _candidates(function, shared)
    return _Splitting(function, variables).result() if variables else function


def _candidates(function: Function, shared: frozenset[str]) -> frozenset[str]:
    """Return the locals with several plain definitions, and no others."""
    bound: Counter[str] = Counter()
    other = {*shared, *function.global_names, *function.nonlocal_names}
    other.update(param.name for param in function.params)
    for step in function.steps:
        match step:
            case Assign(target=Name(id=name), op=""):
                bound[name] += 1
            case Assign(target=Name(id=name)) | Delete(target=Name(id=name)):
                other.add(name)
            case _:
                pass
    return frozenset(name for name, count in bound.items() if count > 1 and name not in other)


class _Reaching(Struct, frozen=True):
    """The definitions that may reach a point, and those that did so anywhere in the block until there."""

    now: Mapping[str, frozenset[int]]
    seen: Mapping[str, frozenset[int]] = {}


class _Definitions:
    """Reaching definitions. An exception may have come from any step of its block."""

    def __init__(self, function: Function, variables: frozenset[str]) -> None:
        self._function = function
        self._variables = variables

    def start(self) -> _Reaching:
        return _Reaching({name: frozenset((UNBOUND,)) for name in self._variables})

    def over_step(self, state: _Reaching, step: int) -> _Reaching:
        match self._function.steps[step]:
            case Assign(target=Name(id=name)) if name in self._variables:
                seen = state.seen.get(name, frozenset()) | state.now[name]
                return _Reaching({**state.now, name: frozenset((step,))}, {**state.seen, name: seen})
            case _:
                return state

    def happens(self, step: int, edge: Edge) -> bool:
        return True

    def over_edge(self, state: _Reaching, block: int, edge: Edge) -> _Reaching:
        if edge.leaves in (Leaves.RAISED, Leaves.CANCELLED) and state.seen:
            now = {name: found | state.seen.get(name, frozenset()) for name, found in state.now.items()}
            return _Reaching(now)
        return _Reaching(state.now) if state.seen else state

    def join(self, known: _Reaching, arriving: _Reaching) -> _Reaching:
        if all(found <= known.now[name] for name, found in arriving.now.items()):
            return known
        return _Reaching({name: found | arriving.now[name] for name, found in known.now.items()})


class _Splitting:
    """Unites the definitions that share a use, and names each web."""

    def __init__(self, function: Function, variables: frozenset[str]) -> None:
        self._function = function
        self._variables = variables
        self._definitions = _Definitions(function, variables)
        self._entry = solve(ControlFlow(function.blocks), self._definitions).entry
        self._above: dict[tuple[str, int], int] = {}
        """per definition, another one of the same web, towards the one that stands for it"""
        self._unite_by_uses()
        self._names = self._named()

    def _unite_by_uses(self) -> None:
        for number, block in enumerate(self._function.blocks):
            state = self._entry[number]
            if state is None:
                continue
            for step in range(block.first, block.last):
                for expr in _used_by(self._function.steps[step]):
                    self._unite(expr, state)
                state = self._definitions.over_step(state, step)
            if block.test is not None:
                self._unite(block.test, state)

    def _unite(self, expr: Expr, state: _Reaching) -> None:
        for name in names_in(expr):
            if name in self._variables:
                first, *rest = (self._web(name, each) for each in sorted(state.now[name]))
                for each in rest:
                    self._above[name, self._web(name, each)] = self._web(name, first)

    def _web(self, name: str, definition: int) -> int:
        """Return the definition that stands for the web of one."""
        while (above := self._above.get((name, definition), definition)) != definition:
            definition = above
        return definition

    def _named(self) -> dict[tuple[str, int], str]:
        """Return the name of each web: the first of a variable keeps its own."""
        taken = {*self._function.locals, *(param.name for param in self._function.params)}
        names: dict[tuple[str, int], str] = {}
        kept: set[str] = set()
        for number, step in enumerate(self._function.steps):
            if isinstance(step, Assign) and isinstance(step.target, Name):
                name = step.target.id
                web = self._web(name, number)
                if name not in self._variables or (name, web) in names:
                    continue
                keeps = web == UNBOUND or name not in kept
                names[name, web] = name if keeps else _fresh(name, taken)
                kept.add(name)
        return names

    def result(self) -> Function:
        if all(new == name for (name, _), new in self._names.items()):
            return self._function
        steps = list(self._function.steps)
        blocks = list(self._function.blocks)
        for number, block in enumerate(self._function.blocks):
            state = self._entry[number]
            if state is None:
                continue
            for at in range(block.first, block.last):
                before, state = state, self._definitions.over_step(state, at)
                steps[at] = self._renamed_step(steps[at], at, before)
            if block.test is not None:
                blocks[number] = structs.replace(block, test=self._renamed(block.test, state))
        new = {web: name for web, name in self._names.items() if name != web[0]}
        types = {each.name: each.type for each in self._function.annotations}
        return structs.replace(
            with_steps(self._function, steps, blocks),
            locals=tuple(sorted({*self._function.locals, *new.values()})),
            annotations=(
                *self._function.annotations,
                *(Annotation(name, types[old]) for (old, _), name in new.items() if old in types),
            ),
        )

    def _renamed_step(self, step: Step, at: int, before: _Reaching) -> Step:
        if isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT):
            return step
        new = rewritten_step(step, lambda expr: self._replacement(expr, before))
        match new:
            case Assign(target=Name(id=name)) if name in self._variables:
                return structs.replace(new, target=Name(self._names[name, self._web(name, at)]))
            case _:
                return new

    def _renamed(self, expr: Expr, state: _Reaching) -> Expr:
        return rewritten(expr, lambda part: self._replacement(part, state))

    def _replacement(self, expr: Expr, state: _Reaching) -> Expr | None:
        match expr:
            case Name(id=name) if name in self._variables:
                web = self._web(name, min(state.now[name]))
                return Name(self._names.get((name, web), name))
            case _:
                return None


def _used_by(step: Step) -> tuple[Expr, ...]:
    """Return what a step uses: the exit of a `with` looks at nothing that its enter has not seen."""
    if isinstance(step, Exit) or (isinstance(step, Await) and step.kind is AwaitKind.EXIT):
        return ()
    return reads(step)


def _fresh(name: str, taken: set[str]) -> str:
    count = 2
    while f"{name}${count}" in taken:
        count += 1
    taken.add(f"{name}${count}")
    return f"{name}${count}"
