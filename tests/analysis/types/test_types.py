"""Types are inferred over the whole project: expectations stand in the code, as `reveal(value, "type")`."""

import time
from collections.abc import Mapping

import pytest

from cancellint.model import ir
from cancellint.model.types import CallSite, FunctionKey, Instance, Pending
from tests.linked import infer, key_of, reached, reveal


def expect(source: str, others: Mapping[str, str] | None = None) -> None:
    """Every `reveal` in the files finds what it says, and there is at least one."""
    found = reveal({"m": source, **(others or {})})

    assert found
    assert [each for each, _ in found] == [wanted for _, wanted in found]


def test_literals_have_the_types_python_gives_them():
    expect("""
        def f(n):
            reveal(1, "int")
            reveal("x", "str")
            reveal(b"x", "bytes")
            reveal(None, "None")
            reveal([1, 2], "list[int]")
            reveal({"a": b"b"}, "dict[str, bytes]")
            reveal({1}, "set[int]")
            reveal((1, "a"), "tuple[int, str]")
            reveal(f"{n}", "str")
            reveal(n == 1, "bool")
            reveal([*(1, 2)], "list[int]")
    """)


def test_imports_of_a_library_are_seen_under_every_alias():
    expect("""
        import asyncio as a
        import asyncio.queues
        from asyncio import Queue as Q, Lock
        from asyncio.queues import Queue
        try:
            import asyncio as maybe
        except ImportError:
            maybe = None
        def f():
            reveal(a.Queue(), "asyncio.Queue")
            reveal(Q(), "asyncio.Queue")
            reveal(Queue(), "asyncio.Queue")
            reveal(asyncio.queues.Queue(), "asyncio.Queue")
            reveal(Lock(), "asyncio.Lock")
            reveal(maybe.Lock(), "asyncio.Lock")
    """)


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        ("asyncio.Queue", "asyncio.Queue"),
        ("asyncio.Queue[int]", "asyncio.Queue[int]"),
        ("'asyncio.Queue[int]'", "asyncio.Queue[int]"),
        ("Optional[asyncio.Lock]", "asyncio.Lock | None"),
        ("Optional['asyncio.Lock']", "asyncio.Lock | None"),
        ("asyncio.Lock | None", "asyncio.Lock | None"),
        ("Union[asyncio.Lock, asyncio.Event, None]", "asyncio.Lock | asyncio.Event | None"),
        ("Dict[str, List[asyncio.Queue]]", "dict[str, list[asyncio.Queue]]"),
        ("tuple[int, str]", "tuple[int, str]"),
        ("Tuple[int, ...]", "tuple[int]"),
        ("type[asyncio.Lock]", "type[asyncio.Lock]"),
        ("Type[C]", "type[m.C]"),
        ("C", "m.C"),
        ("'C'", "m.C"),
        ("Box[int]", "m.Box[int]"),
        ("Annotated[C, 'x']", "m.C"),
        ("Final[C]", "m.C"),
        ("ClassVar[C]", "m.C"),
        ("Literal['a', 1]", "str | int"),
        ("Awaitable[C]", "collections.abc.Awaitable[m.C]"),
        ("Coroutine[Any, Any, C]", "collections.abc.Coroutine[?, ?, m.C]"),
        ("AsyncIterator[C]", "collections.abc.AsyncIterator[m.C]"),
        ("Callable[[int], C]", "?"),
        ("T", "?"),
        ("Bound", "m.C"),
        ("Fresh", "m.C"),
        ("Any", "?"),
        ("object", "?"),
        ("Alias", "dict[str, m.C]"),
        ("Missing", "?"),
        ("elsewhere.Thing", "elsewhere.Thing"),
        ("not ( valid", "?"),
    ],
)
def test_an_annotation_is_read_as(annotation: str, wanted: str):
    quoted = annotation if "valid" not in annotation else repr(annotation)
    expect(f"""
import asyncio, elsewhere
from typing import Any, TypeVar, NewType, Generic, Optional, Union, Dict, List, Tuple, Type
from typing import Annotated, Final, ClassVar, Literal, Awaitable, Coroutine, AsyncIterator, Callable
T = TypeVar("T")
Bound = TypeVar("Bound", bound="C")
class C: pass
Fresh = NewType("Fresh", C)
class Box(Generic[T]): pass
Alias = Dict[str, C]
def f(x: {quoted}):
    reveal(x, {wanted!r})
""")


def test_type_checking_imports_are_followed():
    expect(
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from other import Thing
        def f(x: "Thing"):
            reveal(x, "other.Thing")
        """,
        {"other": "class Thing: pass"},
    )


def test_self_is_the_class_of_the_receiver():
    expect("""
        from typing import Self
        class Base:
            def one(self) -> Self: ...
            def two(self): return self
            async def three(self) -> "Base": return self
            @classmethod
            def make(cls): return cls()
            def f(self):
                reveal(self, "m.Base")
                reveal(type(self)(), "m.Base")
        class Derived(Base): pass
        async def f():
            d = Derived()
            reveal(d.one(), "m.Derived")
            reveal(d.two(), "m.Derived")
            reveal(await d.three(), "m.Derived")
            reveal(Derived.make(), "m.Base")
    """)


def test_a_known_return_is_unpacked():
    expect("""
        import asyncio
        class C:
            async def connect(self):
                r, w = await asyncio.open_connection("h", 1)
                self._reader, self._writer = await asyncio.open_connection("h", 1)
                reveal(r, "asyncio.StreamReader")
                reveal(w, "asyncio.StreamWriter")
                first, *rest = (1, "a", "b")
                reveal(first, "int")
                reveal(rest, "list[int | str]")
                *_, last = (1, b"")
                reveal(last, "bytes")
            def f(self):
                reveal(self._reader, "asyncio.StreamReader")
                reveal(self._writer.transport, "asyncio.Transport")
    """)


def test_attributes_are_joined_over_assignments_annotations_and_bases():
    expect("""
        import asyncio
        class Base:
            limit = 5
            lock: asyncio.Lock
            def __init__(self):
                self.queue = None
                self.event: "asyncio.Event | None" = None
        class Derived(Base):
            def start(self):
                self.queue = asyncio.Queue()
                def inner():
                    self.late = asyncio.Lock()
            def f(self):
                reveal(self.queue, "asyncio.Queue | None")
                reveal(self.event, "asyncio.Event | None")
                reveal(self.lock, "asyncio.Lock")
                reveal(self.limit, "int")
                reveal(self.late, "asyncio.Lock")
                reveal(Derived.limit, "int")
                reveal(self.missing, "?")
    """)


def test_a_declared_type_keeps_the_place_where_the_value_was_made():
    program, types = infer(
        {
            "m": """
        import asyncio
        class C:
            def __init__(self):
                self.lock: asyncio.Lock = asyncio.Lock()
    """
        }
    )
    init = key_of(program, "m.C.__init__")

    found = types.attribute("m.C", "lock")

    assert found == Instance("asyncio.Lock", (), CallSite(init, 0))


def test_dataclass_and_attrs_fields_have_their_declared_type():
    expect("""
        import asyncio, attr
        from dataclasses import dataclass, field
        @dataclass
        class D:
            queue: asyncio.Queue = field(default_factory=asyncio.Queue)
            names: dict[str, asyncio.Event] = field(default_factory=dict)
            made = field(default_factory=asyncio.Lock)
        @attr.s
        class A:
            lock = attr.ib(factory=asyncio.Lock)
        def f(d: D, a: A):
            reveal(d.queue, "asyncio.Queue")
            reveal(d.names["x"], "asyncio.Event")
            reveal(d.made, "asyncio.Lock")
            reveal(a.lock, "asyncio.Lock")
    """)


def test_named_tuple_fields_are_known_by_name_and_position():
    expect("""
        import asyncio
        from typing import NamedTuple
        class Pair(NamedTuple):
            lock: asyncio.Lock
            size: int
        def f(p: Pair):
            reveal(p.lock, "asyncio.Lock")
            reveal(p[1], "int")
            lock, size = p
            reveal(lock, "asyncio.Lock")
            reveal(size, "int")
    """)


def test_a_property_is_what_it_returns():
    expect("""
        import asyncio
        from functools import cached_property
        class C:
            @property
            def lock(self): return self._lock
            @lock.setter
            def lock(self, value): self._lock = asyncio.Lock()
            @cached_property
            def queue(self) -> asyncio.Queue: ...
            def f(self):
                reveal(self.lock, "asyncio.Lock")
                reveal(self.queue, "asyncio.Queue")
    """)


def test_module_globals_are_known_in_other_modules():
    expect(
        """
        import pkg.state as state
        from pkg import LOCK, state as again
        from pkg.state import queue
        def f():
            reveal(state.queue, "asyncio.Queue")
            reveal(queue, "asyncio.Queue")
            reveal(again.current, "None | asyncio.Event")
            reveal(LOCK, "asyncio.Lock")
        """,
        {
            "pkg.__init__": "from .state import *",
            "pkg.state": """
        import asyncio
        queue = asyncio.Queue()
        LOCK = asyncio.Lock()
        current = None
        def start():
            global current
            current = asyncio.Event()
        """,
        },
    )


def test_context_managers_give_what_their_enter_returns():
    expect("""
        import asyncio
        from contextlib import asynccontextmanager, contextmanager, closing, AsyncExitStack
        class Session:
            async def __aenter__(self): return self
            async def __aexit__(self, *a): pass
        class Sub(Session): pass
        class Pool:
            async def __aenter__(self) -> Session: ...
            def __enter__(self): return asyncio.Lock()
        @asynccontextmanager
        async def acquire():
            yield asyncio.Queue()
        @contextmanager
        def plain() -> "Iterator[int]":
            yield 1
        class Owner:
            @asynccontextmanager
            async def hold(self):
                async with Sub() as s:
                    yield s
            async def f(self):
                async with self.hold() as held:
                    reveal(held, "m.Sub")
        async def f(lib: asyncio.TaskGroup):
            async with Sub() as s:
                reveal(s, "m.Sub")
            async with Pool() as p, acquire() as q:
                reveal(p, "m.Session")
                reveal(q, "asyncio.Queue")
            with Pool() as lock, plain() as n:
                reveal(lock, "asyncio.Lock")
                reveal(n, "int")
            async with lib as tg:
                reveal(tg, "asyncio.TaskGroup")
            async with asyncio.Lock() as nothing:
                reveal(nothing, "None")
            with closing(Pool()) as c:
                reveal(c, "m.Pool")
            async with AsyncExitStack() as stack:
                reveal(await stack.enter_async_context(Sub()), "m.Sub")
    """)


def test_functions_give_what_they_declare_else_what_they_return():
    expect("""
        import asyncio
        from typing import Any
        def declared() -> asyncio.Lock: ...
        def returned(flag):
            if flag: return None
            return asyncio.Lock()
        def vague() -> Any: return asyncio.Event()
        def silent(): pass
        def never(): raise NotImplementedError
        async def co(): return asyncio.Queue()
        def gen():
            yield 1
        async def agen():
            yield asyncio.Lock()
        def wrapper(): return co()
        def f():
            reveal(declared(), "asyncio.Lock")
            reveal(returned(1), "None | asyncio.Lock")
            reveal(vague(), "asyncio.Event")
            reveal(silent(), "None")
            reveal(never(), "?")
            reveal(co(), "pending[asyncio.Queue]")
            reveal(wrapper(), "pending[asyncio.Queue]")
            reveal(gen(), "collections.abc.Generator[int]")
            reveal(agen(), "pending[asyncio.Lock]")
            reveal((lambda: asyncio.Lock())(), "asyncio.Lock")
        async def g():
            reveal(await co(), "asyncio.Queue")
            async for lock in agen():
                reveal(lock, "asyncio.Lock")
            reveal(await agen().__anext__(), "?")
            reveal(await anext(agen()), "asyncio.Lock")
            for n in gen():
                reveal(n, "int")
    """)


def test_iteration_gives_elements():
    expect("""
        import asyncio
        class Lines:
            def __aiter__(self): return self
            async def __anext__(self) -> bytes: ...
        class Rows:
            def __iter__(self):
                yield 1
        class Stream:
            async def __aiter__(self):
                yield asyncio.Lock()
        async def f(reader: asyncio.StreamReader, queues: dict[str, asyncio.Queue], xs: list[bytes]):
            async for line in reader:
                reveal(line, "bytes")
            async for line in Lines():
                reveal(line, "bytes")
            async for lock in Stream():
                reveal(lock, "asyncio.Lock")
            for row in Rows():
                reveal(row, "int")
            for name, queue in queues.items():
                reveal(name, "str")
                reveal(queue, "asyncio.Queue")
            for queue in queues.values():
                reveal(queue, "asyncio.Queue")
            for name in queues:
                reveal(name, "str")
            for i, x in enumerate(xs):
                reveal(x, "bytes")
            for x, y in zip(xs, queues):
                reveal(y, "str")
            for x in sorted(xs):
                reveal(x, "bytes")
            reveal([q for q in queues.values()], "list[asyncio.Queue]")
            reveal({n: q for n, q in queues.items()}, "dict[str, asyncio.Queue]")
            reveal({q for q in list(queues.values())}, "set[asyncio.Queue]")
    """)


def test_containers_hand_out_what_is_put_into_them():
    expect("""
        import asyncio
        from collections import deque, defaultdict
        class C:
            def __init__(self):
                self._queues = {}
                self._waiters: dict[str, asyncio.Event] = {}
                self._tasks = set()
                self._buffer = deque()
                self._list = []
                self._groups = defaultdict(list)
            def add(self, name):
                self._queues[name] = asyncio.Queue()
                self._tasks.add(asyncio.Event())
                self._buffer.append(b"x")
                self._list += [1]
            def f(self, name):
                reveal(self._queues[name], "asyncio.Queue")
                reveal(self._queues.get(name), "asyncio.Queue | None")
                reveal(self._queues.pop(name), "asyncio.Queue")
                reveal(self._waiters[name], "asyncio.Event")
                reveal(self._tasks.pop(), "asyncio.Event")
                reveal(self._buffer.popleft(), "bytes")
                reveal(self._list[0], "int")
                reveal(self._list[1:], "list[int]")
                local = []
                local.append(asyncio.Lock())
                reveal(local[0], "asyncio.Lock")
                other = []
                other.extend(local)
                reveal(other.pop(), "asyncio.Lock")
                for key, queue in self._queues.items():
                    reveal(queue, "asyncio.Queue")
    """)


def test_queues_hand_out_what_is_put_into_them():
    expect("""
        import asyncio
        class C:
            def __init__(self):
                self.q = asyncio.Queue()
                self.typed: asyncio.Queue[int] = asyncio.Queue()
            async def f(self):
                await self.q.put(asyncio.Event())
                reveal(await self.q.get(), "asyncio.Event")
                reveal(await self.typed.get(), "int")
                reveal(self.typed.get_nowait(), "int")
                reveal(await asyncio.wait_for(self.typed.get(), 1), "int")
                reveal(await asyncio.wait_for(fut=self.typed.get(), timeout=1), "int")
    """)


def test_operators_join_what_they_may_give():
    expect("""
        import asyncio
        def f(flag, given: asyncio.Lock | None):
            event = asyncio.Event()
            reveal(given or event, "asyncio.Lock | asyncio.Event")
            reveal(asyncio.Lock() if flag else None, "asyncio.Lock | None")
            reveal(b"a" + b"b", "bytes")
            reveal([1] + [], "list[int]")
            reveal(b"abc"[1:], "bytes")
            reveal(b"abc"[1], "int")
            reveal("a".encode(), "bytes")
            reveal(b"a b".split(), "list[bytes]")
            reveal(int.from_bytes(b"a"), "int")
            reveal(len("x"), "int")
            if (lock := asyncio.Lock()):
                reveal(lock, "asyncio.Lock")
    """)


def test_library_attributes_and_methods_are_followed():
    expect("""
        import asyncio
        async def f():
            process = await asyncio.create_subprocess_exec("x")
            reveal(process.stdout, "asyncio.StreamReader | None")
            reveal(await process.stdout.read(1), "bytes")
            reveal(process.stdout.read, "method asyncio.StreamReader.read")
            loop = asyncio.get_running_loop()
            reveal(loop.create_future(), "asyncio.Future")
            reveal(asyncio.Queue.get, "function asyncio.Queue.get")
    """)


def test_tasks_know_the_call_that_made_their_coroutine():
    program, types = infer(
        {
            "m": """
        import asyncio
        async def work(n): return b""
        async def f(q: asyncio.Queue[int], tg: asyncio.TaskGroup):
            a = asyncio.create_task(work(1))
            b = asyncio.get_running_loop().create_task(q.get())
            c = tg.create_task(work(2))
            d = asyncio.ensure_future(a)
    """
        }
    )
    f = key_of(program, "m.f")
    made = {
        step.target.id: types.of(f, step.value)
        for step in program.function(f).steps
        if isinstance(step, ir.Assign) and isinstance(step.target, ir.Name)
    }
    bytes_ = Instance("bytes")

    assert made["a"] == Pending(bytes_, CallSite(f, 0), True, CallSite(f, 1))
    assert made["b"] == Pending(Instance("int"), CallSite(f, 4), True, CallSite(f, 5))
    assert made["c"] == Pending(bytes_, CallSite(f, 7), True, CallSite(f, 8))
    assert made["d"] == made["a"]


def test_tasks_are_known_in_containers_and_attributes():
    expect(
        """
        import asyncio
        async def work(): return b""
        def start() -> asyncio.Task:
            return asyncio.create_task(work())
        class C:
            def __init__(self):
                self._tasks: set[asyncio.Task] = set()
                self._named = {}
                self._one: asyncio.Task | None = None
            async def f(self):
                task = asyncio.create_task(coro=work())
                self._tasks.add(task)
                self._named["x"] = task
                self._one = asyncio.create_task(work())
                tasks = [asyncio.create_task(work()) for _ in range(3)]
                reveal(tasks, "list[task[bytes]]")
                done, pending = await asyncio.wait(tasks)
                reveal(done, "set[task[bytes]]")
                for t in pending:
                    reveal(await t, "bytes")
                    reveal(t.cancel, "method asyncio.Task.cancel")
                _, late = await asyncio.wait({task})
                reveal(late.pop(), "task[bytes]")
                reveal(self._named["x"], "task[bytes]")
                reveal(self._one, "task[bytes] | None")
                reveal(start(), "task[bytes]")
                for kept in self._tasks:
                    reveal(kept, "task[bytes]")
    """.replace('"task[bytes] | None")', '"task[bytes] | None")')
    )


def test_a_coroutine_type_gives_its_third_argument_when_awaited():
    expect("""
        from typing import Any, Awaitable, Coroutine
        import asyncio
        class Op:
            def __await__(self):
                return self.run().__await__()
            async def run(self): ...
        class Typed:
            def __await__(self) -> "Generator[Any, None, int]": ...
        async def f(a: Awaitable[int], c: Coroutine[Any, Any, bytes], fut: asyncio.Future[str]):
            reveal(await a, "int")
            reveal(await c, "bytes")
            reveal(await fut, "str")
    """)


def test_a_parameter_without_annotation_is_unknown_besides_its_default():
    expect("""
        import asyncio
        def f(a, b=5, *args: int, c=None, **kw: bytes):
            reveal(a, "?")
            reveal(b, "? | int")
            reveal(args, "tuple[int]")
            reveal(c, "? | None")
            reveal(kw["x"], "bytes")
        def g(lock: asyncio.Lock = None):
            reveal(lock, "asyncio.Lock | None")
    """)


def test_enum_members_are_of_their_class():
    expect("""
        from enum import Enum
        class State(Enum):
            OPEN = 1
        class C:
            def __init__(self): self.state = State.OPEN
            def f(self):
                reveal(self.state, "m.State")
    """)


def test_exceptions_caught_are_of_the_classes_named():
    expect("""
        import asyncio
        class Mine(Exception): pass
        def f():
            try:
                g()
            except Mine as e:
                reveal(e, "m.Mine")
            except (ValueError, KeyError) as e2:
                reveal(e2, "ValueError | KeyError")
    """)


# --------------------------------------------------------------------------- callees


def test_a_method_call_reaches_the_inherited_method_then_the_overrides():
    source = """
        class Base:
            async def read(self): ...
        class Middle(Base): pass
        class Left(Middle):
            async def read(self): ...
        class Right(Middle):
            async def read(self): ...
        async def f(m: Middle, left: Left):
            await m.read()
            await left.read()
            await Middle().read()
    """
    assert reached({"m": source}, "m.f") == [
        "m.Base.read(<m>) | m.Left.read(<m>) | m.Right.read(<m>)",
        "m.Left.read(<left>)",
        "m.Middle()",
        "m.Base.read(<$4>)",
    ]


def test_at_most_four_overrides_are_reached():
    subclasses = "\n".join(f"class S{n}(Base):\n    def go(self): ..." for n in range(6))
    source = f"class Base:\n    def go(self): ...\n{subclasses}\ndef f(b: Base):\n    b.go()\n"

    assert reached({"m": source}, "m.f") == [
        "m.Base.go(<b>) | m.S0.go(<b>) | m.S1.go(<b>) | m.S2.go(<b>) | m.S3.go(<b>)"
    ]


def test_super_reaches_the_next_class_that_has_the_method():
    source = """
        import asyncio
        class A:
            def go(self, n): ...
        class B(A): pass
        class C(B):
            def go(self, n):
                super().go(n)
        class P(asyncio.Protocol):
            def go(self):
                super().connection_made(1)
    """
    assert reached({"m": source}, "m.C.go")[1:] == ["m.A.go(<self>, n)"]
    assert reached({"m": source}, "m.P.go")[1:] == ["asyncio.Protocol.connection_made(<self>, 1)"]


def test_constructors_reach_init_post_init_or_the_class_itself():
    source = """
        import asyncio
        from dataclasses import dataclass
        class Plain: pass
        class WithInit:
            def __init__(self, n): ...
        class Sub(WithInit): pass
        @dataclass
        class Data:
            x: int
            def __post_init__(self): ...
        def f():
            Plain()
            Sub(1)
            Data(1)
            asyncio.Queue(5)
            list()
    """
    assert reached({"m": source}, "m.f") == [
        "m.Plain()",
        "m.WithInit.__init__(<new>, 1)",
        "m.Data.__post_init__(<new>)",
        "asyncio.Queue(5)",
        "builtins.list()",
    ]


def test_class_and_static_methods_take_the_right_receiver():
    source = """
        class C:
            @classmethod
            def make(cls, n): ...
            @staticmethod
            def helper(n): ...
            def plain(self, n): ...
        def f(c: C):
            C.make(1)
            C.helper(1)
            C.plain(c, 1)
            c.make(1)
            c.helper(1)
    """
    assert reached({"m": source}, "m.f") == [
        "m.C.make(<C>, 1)",
        "m.C.helper(1)",
        "m.C.plain(<c>, 1)",
        "m.C.make(<c>, 1)",
        "m.C.helper(1)",
    ]


def test_partial_supplies_leading_arguments_and_keywords():
    source = """
        import functools
        from functools import partial
        class C:
            async def send(self, conn, data, flag=False): ...
            def f(self, conn):
                bound = functools.partial(self.send, conn, flag=True)
                bound(b"x")
                partial(print, 1)(2)
                self.later = partial(self.send, conn)
            def g(self):
                self.later(b"y")
    """
    assert reached({"m": source}, "m.C.f")[1:4] == [
        "m.C.send(<self>, conn, b'x', flag=True)",
        "functools.partial(print, 1)",
        "builtins.print(1, 2)",
    ]
    assert reached({"m": source}, "m.C.g") == ["m.C.send(<self>, ..., b'y')"]


def test_functions_as_values_are_called():
    source = """
        import asyncio
        def helper(): ...
        class C:
            def __init__(self):
                self.handler = self.on_message
                self.make = asyncio.Lock
            def on_message(self, m): ...
            def __call__(self, n): ...
            def f(self, c: "C"):
                do = helper
                do()
                self.handler(1)
                self.make()
                c(2)
                each = lambda x: x
                each(3)
                for fn in (helper, self.on_message):
                    fn()
    """
    assert reached({"m": source}, "m.C.f") == [
        "m.helper()",
        "m.C.on_message(<self>, 1)",
        "asyncio.Lock()",
        "m.C.__call__(<c>, 2)",
        "m.C.f.<lambda>(3)",
        "m.helper() | m.C.on_message(<self>)",
    ]


def test_a_project_subclass_of_a_library_class_reaches_the_library():
    source = """
        import asyncio
        class MyQueue(asyncio.Queue):
            async def extra(self):
                await self.get()
        async def f(q: MyQueue, p: asyncio.PriorityQueue):
            await q.get()
            await p.get()
    """
    assert reached({"m": source}, "m.MyQueue.extra") == ["asyncio.Queue.get(<self>)"]
    assert reached({"m": source}, "m.f") == ["asyncio.Queue.get(<q>)", "asyncio.PriorityQueue.get(<p>)"]


def test_builtins_are_named_and_unknown_calls_keep_their_method():
    source = """
        def f(x, items: list):
            print(x)
            len(x)
            int.from_bytes(x)
            items.append(1)
            "a".encode()
            x.get(1, key=2)
            x(3)
            x.a.b.c(*items)
            undefined(4)
    """
    assert reached({"m": source}, "m.f") == [
        "builtins.print(x)",
        "builtins.len(x)",
        "builtins.int.from_bytes(x)",
        "builtins.list.append(<items>, 1)",
        "builtins.str.encode(<a>)",
        "?get(<x>, 1, key=2)",
        "?(<x>, 3)",
        "?c(<x.a.b>, *items)",
        "?(<undefined>, 4)",
    ]


def test_attribute_chains_are_followed():
    source = """
        import asyncio
        class Transport:
            def __init__(self): self.queue = asyncio.Queue()
        class Connection:
            def __init__(self): self.transport = Transport()
        class Client:
            def __init__(self, connection: Connection): self.connection = connection
            async def f(self):
                await self.connection.transport.queue.get()
    """
    assert reached({"m": source}, "m.Client.f") == ["asyncio.Queue.get(<self.connection.transport.queue>)"]


def test_methods_are_found_across_modules():
    files = {
        "pkg.__init__": "from .client import Client\n__all__ = ['Client']",
        "pkg.base": "class Base:\n    async def fetch(self): ...",
        "pkg.client": "from . import base\nclass Client(base.Base): pass",
        "app": "import pkg\nasync def main():\n    await pkg.Client().fetch()",
    }
    assert reached(files, "app.main") == ["pkg.client.Client()", "pkg.base.Base.fetch(<$0>)"]


# --------------------------------------------------------------------------- hostile input


def test_a_chain_of_thousands_of_locals_is_followed_to_its_end():
    steps = "\n".join(f"    a{n} = a{n - 1}" for n in range(1, 5000))
    expect(f"import asyncio\ndef f():\n    a0 = asyncio.Lock()\n{steps}\n    reveal(a4999, 'asyncio.Lock')\n")


def test_a_chain_of_thousands_of_functions_is_followed_to_its_end():
    functions = "\n".join(f"def f{n}(): return f{n - 1}()" for n in range(1, 3000))
    expect(f"import asyncio\ndef f0(): return asyncio.Lock()\n{functions}\nreveal(f2999(), 'asyncio.Lock')\n")


def test_a_chain_of_thousands_of_module_aliases_gives_an_answer():
    aliases = "\n".join(f"A{n} = A{n - 1}" for n in range(1, 3000))
    expect(f"class A0: pass\n{aliases}\nreveal(A2999(), 'm.A0')\nclass B(A2999): pass\nreveal(B(), 'm.B')\n")


def test_a_long_attribute_chain_is_unknown():
    expect(f"def f(x):\n    reveal(x{'.a' * 3000}, '?')\n")


def test_a_long_sum_gives_an_answer():
    expect(f"x = {' + '.join(['1'] * 3000)}\nreveal(x, 'int')\n")


def test_values_that_depend_on_themselves_are_what_reaches_them_from_outside():
    expect("""
        import asyncio
        def ping(n): return pong(n) if n else asyncio.Lock()
        def pong(n): return ping(n) if n else asyncio.Event()
        def f(flag):
            a = b = None
            while flag:
                a = b
                b = a
                c = c
                x = [x]
            reveal(a, "None")
            reveal(c, "?")
            reveal(x, "list[?]")
            reveal(ping(1), "asyncio.Event | asyncio.Lock")
            reveal(pong(1), "asyncio.Event | asyncio.Lock")
    """)


def test_a_cycle_longer_than_the_nesting_bound_is_settled():
    size = 2000
    steps = "\n".join(f"        a{n} = a{(n - 1) % size}" for n in range(size))
    expect(
        f"import asyncio\ndef f(flag):\n    while flag:\n        a7 = asyncio.Lock()\n{steps}\n"
        f"    reveal(a{size - 1}, 'asyncio.Lock')\n    reveal(a3, 'asyncio.Lock')\n"
    )


def test_more_than_eight_alternatives_are_unknown():
    classes = "\n".join(f"class C{n}: pass" for n in range(9))
    some = "\n".join(f"    x = C{n}()" for n in range(8))
    expect(f"{classes}\ndef f():\n{some}\n    x = C8()\n    reveal(x, '?')\n")
    eight = " | ".join(f"m.C{n}" for n in range(8))
    expect(f"{classes}\ndef f():\n{some}\n    reveal(x, '{eight}')\n")


def test_types_that_would_grow_for_ever_are_cut():
    wraps = "\n".join(f"    a{n} = [a{n - 1}]" for n in range(1, 40))
    ((found, _),) = reveal({"m": f"def f():\n    a0 = 1\n{wraps}\n    reveal(a39, '')\n"})

    assert found.count("list") <= 7


def test_cyclic_classes_and_imports_are_survived():
    expect(
        """
        from other import B, again
        class A(B):
            def f(self):
                reveal(self.x, "int")
                reveal(again, "?")
        """,
        {
            "other": """
        from m import A, again
        class B(A):
            x = 1
        """
        },
    )


def test_answers_do_not_depend_on_the_order_of_the_questions():
    source = """
        import asyncio
        class C:
            def __init__(self, other: "C"):
                self.a = other.b
                self.b = other.a or asyncio.Lock()
                self.c = [self.a, self.b]
            def m(self): return self.n() or self.a
            def n(self): return self.m() or self.b
    """
    names = ["a", "b", "c"]
    _, first = infer({"m": source})
    _, second = infer({"m": source})

    forward = {name: first.attribute("m.C", name) for name in names}
    backward = {name: second.attribute("m.C", name) for name in reversed(names)}

    assert forward == backward


def test_a_wide_cycle_of_functions_is_settled_quickly():
    count = 150
    bodies = "\n".join(
        f"def f{n}(x):\n"
        f"    return f{(n * 7 + 1) % count}(x) or f{(n * 5 + 3) % count}(x) or f{(n + 1) % count}(x)"
        for n in range(count)
    )
    started = time.process_time()
    expect(f"{bodies}\nreveal(f0(1), '?')\n")

    assert time.process_time() - started < 5


def test_asking_for_something_else_than_a_call_is_refused():
    _, types = infer({"m": "x = 1"})

    with pytest.raises(TypeError, match="no call"):
        types.callees(FunctionKey("m", 0), 0)
    with pytest.raises(TypeError, match="no await"):
        types.awaited(FunctionKey("m", 0), 0)


def test_a_parameter_without_annotation_is_what_all_callers_pass():
    expect("""
        import asyncio
        class Conn:
            def __init__(self, reader, writer=None):
                self.reader = reader
                self.writer = writer
            def f(self):
                reveal(self.reader, "asyncio.StreamReader")
                reveal(self.writer, "asyncio.StreamWriter | None")
        class Sub(Conn):
            def __init__(self, reader, writer):
                super().__init__(reader, writer=writer)
        async def helper(conn, lock, mixed, spread):
            reveal(conn, "m.Conn")
            reveal(lock, "asyncio.Lock | None")
            reveal(mixed, "?")
            reveal(spread, "?")
        def recursive(x, depth):
            reveal(x, "asyncio.Lock")
            recursive(x, depth)
        async def f(unknown, args):
            r, w = await asyncio.open_connection("h", 1)
            c = Conn(r)
            Sub(r, w)
            await helper(c, asyncio.Lock(), 1, *args)
            await helper(lock=None, conn=c, mixed=unknown, spread=1)
            recursive(asyncio.Lock(), 1)
    """)


def test_a_parameter_of_a_function_called_in_many_places_stays_unknown():
    many = "\n".join("    helper(asyncio.Lock())" for _ in range(9))
    expect(f"import asyncio\ndef helper(x):\n    reveal(x, '?')\ndef f():\n{many}\n")


def test_a_callback_takes_what_the_library_passes_to_it():
    expect("""
        import asyncio
        from functools import partial
        class Server:
            async def handle(self, reader, writer):
                reveal(reader, "asyncio.StreamReader")
                reveal(writer, "asyncio.StreamWriter")
            async def start(self):
                await asyncio.start_server(self.handle, "h", 1)
                await asyncio.start_server(partial(named, "x"), "h", 1)
                server = asyncio.start_server(plain)
                asyncio.get_running_loop().call_soon(later, asyncio.Lock())
                unknown(mystery)
        async def named(name, reader, writer):
            reveal(reader, "?")
        async def plain(reader, writer):
            reveal(reader, "asyncio.StreamReader")
        def later(lock):
            reveal(lock, "asyncio.Lock")
        def mystery(x):
            reveal(x, "?")
    """)


def test_weak_references_and_default_dicts_give_what_they_were_made_for():
    expect("""
        import asyncio, weakref
        from collections import defaultdict
        class C:
            def __init__(self):
                self.locks = defaultdict(asyncio.Lock)
                self.queues = defaultdict(lambda: defaultdict(asyncio.Queue))
                self.me = weakref.ref(self)
            def f(self):
                reveal(self.locks["x"], "asyncio.Lock")
                reveal(self.queues["x"]["y"], "asyncio.Queue")
                reveal(self.me(), "m.C | None")
    """)


def test_a_recursive_coroutine_gives_what_its_other_returns_give():
    expect("""
        import asyncio
        async def retry(n):
            if n:
                return await retry(n - 1)
            return asyncio.Lock()
        async def f():
            reveal(await retry(3), "asyncio.Lock")
    """)


def test_a_method_of_a_generic_class_gives_what_its_object_is_made_for():
    expect("""
        from typing import Generic, TypeVar
        K = TypeVar("K")
        V = TypeVar("V")
        class Channel(Generic[K, V]):
            def key(self) -> K:
                return self.find()
            async def receive(self) -> V:
                return self.find()
            def __aiter__(self) -> "Channel[K, V]":
                return self
            async def __anext__(self) -> V:
                return await self.receive()
        class Own(Channel[int, str]): pass
        async def f(channel: Channel[int, str], bare: Channel, own: Own):
            reveal(channel.key(), "int")
            reveal(await channel.receive(), "str")
            reveal(await bare.receive(), "?")
            reveal(await own.receive(), "?")
            async for each in channel:
                reveal(each, "str")
    """)
