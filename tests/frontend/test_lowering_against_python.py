"""What Python does when it runs a random function must be a path of that function's graph.

Random programs call `m(n)` (which may raise), `c(n)` (which may hold), and await `p(n)` (which may
be cancelled or raise). Python runs them and notes what happened; the graph is then followed along
the notes, and must allow them all, up to the same exit.

Random expressions read attributes, each only once, and await in between: what Python has read before an await
the graph has to read before it.
"""

import asyncio
import random
from typing import NamedTuple

import libcst
import pytest

from cancellint.frontend.lower import lower
from cancellint.model import ir
from cancellint.model.ir import Leaves


class Event(NamedTuple):
    """`outcome` is ok, true, false, error or cancel."""

    function: str
    number: int
    outcome: str


class _Boom(Exception):
    pass


# ------------------------------------------------------------------ random programs


class Program:
    """Writes a random function body."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def number(self) -> int:
        self.count += 1
        return self.count

    def source(self) -> str:
        return "async def f():\n" + self.block(1, False, False)

    def block(self, depth: int, loop: bool, handler: bool) -> str:
        count = self.rng.randint(1, 3)
        return "".join(self.statement(depth, loop, handler) for _ in range(count))

    def statement(self, depth: int, loop: bool, handler: bool) -> str:
        pad = "    " * depth
        simple = [f"m({self.number()})", f"await p({self.number()})", f"await p({self.number()})"]
        rare = ["return", "raise Boom()"] + ["break", "continue"] * loop + ["raise"] * 3 * handler
        roll = self.rng.random()
        if roll < 0.12:
            return f"{pad}{self.rng.choice(rare)}\n"
        if roll < 0.45 or depth > 4 or self.count > 40:
            return f"{pad}{self.rng.choice(simple)}\n"
        write = self.rng.choice([self._if, self._while, self._for, self._try, self._try, self._with])
        return write(depth, pad, loop, handler)

    def condition(self) -> str:
        one, two = f"c({self.number()})", f"c({self.number()})"
        shapes = [
            one,
            f"not {one}",
            f"{one} and {two}",
            f"not ({one} or {two})",
            f"{one} and await p({self.number()})",
        ]
        return self.rng.choice(shapes)

    def _if(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        source = f"{pad}if {self.condition()}:\n{self.block(depth + 1, loop, handler)}"
        if self.rng.random() < 0.5:
            source += f"{pad}else:\n{self.block(depth + 1, loop, handler)}"
        return source

    def _while(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        source = f"{pad}while {self.condition()}:\n{self.block(depth + 1, True, handler)}"
        return source + self._else(depth, pad, loop, handler)

    def _for(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        head = self.rng.choice(["for _ in [1, 2]", "async for _ in turns()"])
        source = f"{pad}{head}:\n{self.block(depth + 1, True, handler)}"
        return source + self._else(depth, pad, loop, handler)

    def _else(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        if self.rng.random() < 0.6:
            return ""
        return f"{pad}else:\n{self.block(depth + 1, loop, handler)}"

    def _with(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        items = self.rng.choice(["with manager()", "async with manager()", "with manager(), manager()"])
        return f"{pad}{items}:\n{self.block(depth + 1, loop, handler)}"

    def _try(self, depth: int, pad: str, loop: bool, handler: bool) -> str:
        source = f"{pad}try:\n{self.block(depth + 1, loop, handler)}"
        kinds = self.rng.choice([[], ["Cancelled"], ["Boom"], ["Exception", "BaseException"], ["ALL"], [""]])
        for kind in kinds:
            source += f"{pad}except {kind}:\n{self.block(depth + 1, loop, True)}"
        if kinds and self.rng.random() < 0.4:
            source += f"{pad}else:\n{self.block(depth + 1, loop, handler)}"
        if not kinds or self.rng.random() < 0.5:
            source += f"{pad}finally:\n{self.block(depth + 1, loop, handler)}"
        return source


# ------------------------------------------------------------------ what Python does


class _TooLong(BaseException):
    """Ends a run that loops. Programs may catch it, so each further event raises it again."""


class World:
    """The functions a program calls. They decide by chance and note what they did."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.events: list[Event] = []
        self.awaits = 0

    def note(self, function: str, number: int, outcome: str) -> None:
        if len(self.events) >= 60:
            raise _TooLong
        self.events.append(Event(function, number, outcome))

    def m(self, number: int) -> None:
        fails = self.rng.random() < 0.15
        self.note("m", number, "error" if fails else "ok")
        if fails:
            raise _Boom

    def c(self, number: int) -> bool:
        holds = self.rng.random() < 0.5
        self.note("c", number, "true" if holds else "false")
        return holds

    async def p(self, number: int) -> bool:
        outcome = self.rng.choices(["true", "false", "cancel", "error"], [4, 4, 3, 1])[0]
        self.note("p", number, outcome)
        if outcome == "cancel":
            raise asyncio.CancelledError
        if outcome == "error":
            raise _Boom
        return outcome == "true"

    def manager(self) -> "Manager":
        return Manager(self.rng.random() < 0.3, self.rng.random() < 0.2)

    async def turns(self):
        for turn in range(self.rng.randint(0, 2)):
            yield turn

    def run(self, source: str) -> str:
        """Run the program; how it ended."""
        names = {
            "m": self.m,
            "c": self.c,
            "p": self.p,
            "manager": self.manager,
            "turns": self.turns,
            "Boom": _Boom,
            "Cancelled": asyncio.CancelledError,
            "ALL": (asyncio.CancelledError, _Boom),
        }
        exec(compile(source, "<program>", "exec"), names)
        try:
            names["f"]().send(None)
        except StopIteration:
            return "returned"
        except asyncio.CancelledError:
            return "cancelled"
        except Exception:
            return "raised"
        except _TooLong:
            return "unfinished"
        return "suspended"


class Manager:
    """A context manager that may swallow what travels, or replace a cancellation."""

    def __init__(self, absorbs: bool, converts: bool) -> None:
        self.absorbs = absorbs
        self.converts = converts

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        if kind is asyncio.CancelledError and self.converts:
            raise TimeoutError
        return self.absorbs and kind is not None and kind is not _TooLong

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        return self.__exit__(kind, *rest)


# ------------------------------------------------------------------ what the graph allows

_EXITS = {"returned": ir.RETURN_EXIT, "cancelled": ir.CANCEL_EXIT, "raised": ir.RAISE_EXIT}
_AWAITED = {"cancel": Leaves.CANCELLED, "error": Leaves.RAISED}
_OWN = {"m", "c", "p"}


class Walk:
    """Follows a graph along events. A position is a block and a step; -1.. are exits."""

    def __init__(self, graph: ir.Function) -> None:
        self.graph = graph

    def allows(self, events: list[Event], end: str) -> bool:
        positions = self.waiting({(0, self.graph.blocks[0].first)}, "")
        for event in events:
            after = {each for at in positions for each in self.after(at, event)}
            positions = self.waiting(after, event.outcome)
        return end == "unfinished" or any(block == _EXITS[end] for block, _ in positions)

    def own_call(self, step: ir.Step) -> tuple[str, int] | None:
        match step:
            case ir.Call(func=ir.Name(id=name), args=(ir.Const(text=number),)) if name in _OWN:
                return name, int(number)
        return None

    def waiting(self, positions: set[tuple[int, int]], outcome: str) -> set[tuple[int, int]]:
        """The calls and exits that come next."""
        seen = set(positions)
        stack = list(positions)
        found = set()
        while stack:
            block, step = stack.pop()
            if block < 0 or (step < self.graph.blocks[block].last and self.own_call(self.graph.steps[step])):
                found.add((block, step))
                continue
            nexts = (
                {(block, step + 1)} if step < self.graph.blocks[block].last else self.silent(block, outcome)
            )
            stack.extend(nexts - seen)
            seen |= nexts
        return found

    def silent(self, number: int, outcome: str) -> set[tuple[int, int]]:
        """Where control goes at the end of a block in which nothing raised."""
        block = self.graph.blocks[number]
        last = self.graph.steps[block.last - 1] if block.last > block.first else None
        # An exception passed on at the end of a copied `finally` is the only edge there.
        blocked = set()
        if isinstance(last, ir.Await):
            blocked |= {Leaves.RAISED, Leaves.CANCELLED}
        elif not isinstance(last, ir.Raise | ir.Exit | None) and len(block.edges) > 1:
            blocked.add(Leaves.RAISED)
        if block.test is not None:
            blocked.add(Leaves.FALSE if outcome == "true" else Leaves.TRUE)
        return {self.start(edge) for edge in block.edges if edge.leaves not in blocked}

    def start(self, edge: ir.Edge) -> tuple[int, int]:
        return (edge.to, self.graph.blocks[edge.to].first if edge.to >= 0 else 0)

    def after(self, at: tuple[int, int], event: Event) -> set[tuple[int, int]]:
        """Where control is after an event that happened in the call at a position."""
        block, step = at
        if block < 0 or self.own_call(self.graph.steps[step]) != event[:2]:
            return set()
        if event.outcome not in _AWAITED:
            return {(block, step + 1)}
        edges = self.graph.blocks[block].edges
        thrown = {self.start(edge) for edge in edges if edge.leaves is _AWAITED[event.outcome]}
        return thrown or ({(ir.RAISE_EXIT, 0)} if event.outcome == "error" else set())


@pytest.mark.parametrize("seed", range(200))
def test_what_python_does_is_a_path_of_the_graph(seed: int):
    rng = random.Random(seed)
    source = Program(rng).source()
    graph = lower(libcst.parse_module(source)).functions[1]
    walk = Walk(graph)
    for _ in range(40):
        world = World(rng)
        try:
            end = world.run(source)
        except SyntaxError:
            pytest.fail(source)
        assert walk.allows(world.events, end), (world.events, end, source)


def test_the_walk_refuses_what_cannot_happen():
    source = "async def f():\n    try:\n        await p(1)\n    except Exception:\n        m(2)\n    m(3)\n"
    walk = Walk(lower(libcst.parse_module(source)).functions[1])
    assert walk.allows([Event("p", 1, "error"), Event("m", 2, "ok"), Event("m", 3, "ok")], "returned")
    assert walk.allows([Event("p", 1, "cancel")], "cancelled")
    assert not walk.allows([Event("p", 1, "cancel"), Event("m", 2, "ok")], "returned")
    assert not walk.allows([Event("p", 1, "true"), Event("m", 2, "ok")], "returned")
    assert not walk.allows([Event("p", 1, "cancel")], "returned")
    assert not walk.allows([Event("m", 3, "ok")], "returned")


# ------------------------------------------------------------------ what is read before an await


class Reading:
    """Writes a random expression that reads attributes of `o`, each of its own name, and awaits."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def attribute(self) -> str:
        self.count += 1
        return f"o.a{self.count}"

    def source(self) -> str:
        statement = self.rng.choice(["o.x = {}", "{} += {}", "return {}", "g({})", "y = {}"])
        target = self.attribute()
        value = self.expression(0)
        body = statement.format(target, value) if statement.count("{}") == 2 else statement.format(value)
        return f"async def f():\n    {body}\n"

    def expression(self, depth: int) -> str:
        roll = self.rng.random()
        if depth > 2 or roll < 0.35:
            return self.leaf()
        if roll < 0.4:
            return f"g(f'{{{self.leaf()}}}{{{self.leaf()}}}')"
        shape = self.rng.choice(
            [
                "({} + {})",
                "({} ** {})",
                "g({}, {})",
                "g({}, *({},), k={})",
                "g([{}, {}])",
                "g({{{}: {}, **g(k={})}})",
                "({} < {})",
                "c[{}:{}]",
                "c[{}, {}]",
                "g({{{}: {} for _ in c}})",
                "(await p({}, {}))",
                "(-{})",
            ]
        )
        return shape.format(*(self.expression(depth + 1) for _ in range(shape.count("{}"))))

    def leaf(self) -> str:
        return self.attribute() if self.rng.random() < 0.6 else "(await p())"


class Value:
    """An object that any expression can be made of."""

    def __init__(self) -> None:
        self.read: dict[str, int] = {}
        self.awaited = 0

    def __getattr__(self, name: str) -> "Value":
        if name.startswith("a") and name not in self.read:
            self.read[name] = self.awaited
        return self

    async def wait(self, *values: object) -> "Value":
        self.awaited += 1
        return self

    def same(self, *values: object, **named: object) -> "Value":
        return self

    __add__ = __pow__ = __lt__ = __getitem__ = __iadd__ = __radd__ = same
    __neg__ = same

    def keys(self) -> tuple[str, ...]:
        return ()

    def __iter__(self):
        return iter((self,)[: 1 - self.__dict__.get("ended", 0)])

    def __format__(self, spec: str) -> str:
        return ""

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("read", "awaited"):
            super().__setattr__(name, value)


def reads_of_python(source: str) -> dict[str, int]:
    """How many awaits have come back when each attribute is read."""
    value = Value()
    names = {"o": value, "p": value.wait, "g": value.same, "c": value}
    exec(compile(source, "<expression>", "exec"), names)
    with pytest.raises(StopIteration):
        names["f"]().send(None)
    return value.read


def reads_of_graph(graph: ir.Function) -> dict[str, int]:
    """The same along the graph's path on which everything goes well."""
    found: dict[str, int] = {}
    block, awaited = 0, 0
    turning: set[int] = set()
    while block >= 0:
        for number in range(graph.blocks[block].first, graph.blocks[block].last):
            step = graph.steps[number]
            for name in attributes_of(step):
                found.setdefault(name, awaited)
            awaited += isinstance(step, ir.Await)
        wanted = {Leaves.NORMAL, Leaves.RESUMED, Leaves.RETURNED}
        wanted.add(Leaves.EXHAUSTED if block in turning else Leaves.ITEM)
        turning ^= {block}  # one turn of each loop, whenever it is come to
        block = next(edge.to for edge in graph.blocks[block].edges if edge.leaves in wanted)
    return found


def attributes_of(step: ir.Step) -> list[str]:
    """The attributes of `o` that a step reads where it stands."""
    match step:
        case ir.Assign(target=target, value=value, op=op, read=read):
            waiting = [value, *((target,) if op and op != "append" and read < 0 else ())]
        case ir.Call(args=args, keywords=keywords):
            waiting = [*args, *(value for _, value in keywords)]
        case ir.Await(value=value) | ir.Return(value=value) | ir.Load(value=value) | ir.Next(value=value):
            waiting = [value]
        case ir.Evaluate(value=value):
            waiting = [value]
        case _:
            waiting = []
    found: list[str] = []
    while waiting:
        match waiting.pop():
            case ir.Attr(base=ir.Name(id="o"), name=name) if name.startswith("a"):
                found.append(name)
            case ir.Attr(base=base) | ir.Star(value=base):
                waiting.append(base)
            case ir.Item(base=base, key=key):
                waiting += (base, key)
            case ir.Op(operands=parts) | ir.Build(items=parts):
                waiting.extend(parts)
            case _:
                pass
    return found


@pytest.mark.parametrize("seed", range(300))
def test_what_python_reads_before_an_await_the_graph_reads_before_it(seed: int):
    source = Reading(random.Random(seed)).source()
    graph = lower(libcst.parse_module(source)).functions[1]
    assert reads_of_graph(graph) == reads_of_python(source), source


@pytest.mark.parametrize("statement", ["o.a1 += await p()", "o.x = o.a1 + await p()", "g(o.a1, await p())"])
def test_a_read_before_an_await_is_a_step_of_its_own(statement: str):
    graph = lower(libcst.parse_module(f"async def f():\n    {statement}\n")).functions[1]
    steps = [type(step).__name__ for step in graph.steps]
    assert steps.index("Load") < steps.index("Await")
    assert reads_of_graph(graph) == {"a1": 0} == reads_of_python(f"async def f():\n    {statement}\n")


@pytest.mark.parametrize("statement", ["o.x = await p() + o.a1", "g(await p(), o.a1)", "o.a1 += g()"])
def test_what_is_read_after_the_await_is_read_where_it_is_used(statement: str):
    graph = lower(libcst.parse_module(f"async def f():\n    {statement}\n")).functions[1]
    assert not any(isinstance(step, ir.Load) for step in graph.steps)
