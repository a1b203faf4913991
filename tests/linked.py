"""Small projects for the tests of names and types, and how types are written in their expectations."""

from collections.abc import Iterator, Mapping
from textwrap import dedent

import libcst

from cancellint.analysis.program.program import Program
from cancellint.analysis.types.types import Types
from cancellint.frontend.lower import lower
from cancellint.model import ir
from cancellint.model.knowledge import Entry
from cancellint.model.types import (
    Callee,
    ClassObject,
    Either,
    FunctionKey,
    Instance,
    LibraryCallee,
    LibraryFunction,
    ModuleObject,
    NoneValue,
    Pending,
    ProjectCallee,
    ProjectFunction,
    TupleOf,
    Type,
    Unknown,
    UnresolvedCallee,
)

_CLASS = Entry(kind="class")
_CALL = Entry()
_TAKES = Entry(awaitable=True)

ENTRIES: Mapping[str, Entry] = {
    "asyncio.Queue": _CLASS,
    "asyncio.Queue.get": Entry(awaitable=True, returns="self:0"),
    "asyncio.Queue.get_nowait": Entry(returns="self:0"),
    "asyncio.Queue.put": _TAKES,
    "asyncio.PriorityQueue": Entry(kind="class", bases=("asyncio.Queue",)),
    "asyncio.Lock": _CLASS,
    "asyncio.Lock.__aenter__": Entry(awaitable=True, returns="None"),
    "asyncio.Lock.acquire": Entry(awaitable=True, returns="bool"),
    "asyncio.Event": _CLASS,
    "asyncio.Event.wait": Entry(awaitable=True, returns="bool"),
    "asyncio.StreamReader": _CLASS,
    "asyncio.StreamReader.read": Entry(awaitable=True, returns="bytes"),
    "asyncio.StreamReader.__anext__": Entry(awaitable=True, returns="bytes"),
    "asyncio.StreamWriter": _CLASS,
    "asyncio.StreamWriter.transport": Entry(kind="attribute", returns="asyncio.Transport"),
    "asyncio.Transport": _CLASS,
    "asyncio.open_connection": Entry(
        awaitable=True, returns="tuple[asyncio.StreamReader, asyncio.StreamWriter]"
    ),
    "asyncio.subprocess.Process": _CLASS,
    "asyncio.subprocess.Process.stdout": Entry(kind="attribute", returns="asyncio.StreamReader | None"),
    "asyncio.create_subprocess_exec": Entry(awaitable=True, returns="asyncio.subprocess.Process"),
    "asyncio.create_task": Entry(returns="task:arg:0", params=("coro",)),
    "asyncio.ensure_future": Entry(returns="task:arg:0"),
    "asyncio.wait": Entry(awaitable=True, returns="tuple[set[task:arg:0], set[task:arg:0]]"),
    "asyncio.wait_for": Entry(awaitable=True, returns="awaited:arg:0", params=("fut", "timeout")),
    "asyncio.get_running_loop": Entry(returns="asyncio.AbstractEventLoop"),
    "asyncio.AbstractEventLoop": _CLASS,
    "asyncio.AbstractEventLoop.create_task": Entry(returns="task:arg:0"),
    "asyncio.AbstractEventLoop.create_future": Entry(returns="asyncio.Future"),
    "asyncio.TaskGroup": _CLASS,
    "asyncio.TaskGroup.create_task": Entry(returns="task:arg:0"),
    "asyncio.Task": Entry(kind="class", bases=("asyncio.Future",)),
    "asyncio.Future": _CLASS,
    "asyncio.Future.cancel": _CALL,
    "asyncio.Protocol": _CLASS,
    "asyncio.start_server": Entry(
        awaitable=True, calls="arg:0", calls_with=("asyncio.StreamReader", "asyncio.StreamWriter")
    ),
    "asyncio.AbstractEventLoop.call_soon": Entry(calls="arg:0"),
    "asyncio.sleep": Entry(awaitable=True, returns="None"),
    "threading.Lock": _CLASS,
}
ALIASES: Mapping[str, str] = {
    "asyncio.queues.Queue": "asyncio.Queue",
    "asyncio.locks.Lock": "asyncio.Lock",
    "asyncio.streams.open_connection": "asyncio.open_connection",
}


class Knowledge:
    """The three questions that the inference asks, answered from a dict."""

    def entry(self, name: str) -> Entry | None:
        public = self.canonical(name)
        if public in ENTRIES:
            return ENTRIES[public]
        cls, _, method = public.rpartition(".")
        for base in ENTRIES[cls].bases if cls in ENTRIES else ():
            return self.entry(f"{base}.{method}")
        return None

    def canonical(self, name: str) -> str:
        return ALIASES.get(name, name)

    def is_class(self, name: str) -> bool:
        entry = self.entry(name)
        return entry is not None and entry.kind == "class"


def link(files: Mapping[str, str]) -> Program:
    """A program of these files; a name that ends in `.__init__` is a package."""
    modules = {
        name.removesuffix(".__init__"): lower(libcst.parse_module(dedent(source)))
        for name, source in files.items()
    }
    packages = {name.removesuffix(".__init__") for name in files if name.endswith(".__init__")}
    return Program(modules, packages)


def infer(files: Mapping[str, str]) -> tuple[Program, Types]:
    program = link(files)
    return program, Types(program, Knowledge())


def key_of(program: Program, symbol: str) -> FunctionKey:
    """The function of a qualified name; of several, the last."""
    return [key for key in program.functions() if program.symbol(key) == symbol][-1]


def calls(program: Program, name: str) -> Iterator[tuple[FunctionKey, int, ir.Call]]:
    """All calls of a bare name, in order."""
    for key in program.functions():
        for number, step in enumerate(program.function(key).steps):
            match step:
                case ir.Call(ir.Name(called)) if called == name:
                    yield key, number, step
                case _:
                    pass


def written(program: Program, found: Type) -> str:
    """A type as the expectations write it; `?` is Unknown."""
    match found:
        case Unknown():
            return "?"
        case NoneValue():
            return "None"
        case Instance(cls, args):
            return cls + _arguments(program, args)
        case ClassObject(cls, args):
            return f"type[{cls}{_arguments(program, args)}]"
        case ProjectFunction(key, bound):
            return f"{'method' if bound else 'function'} {program.symbol(key)}"
        case LibraryFunction(name, bound):
            return f"{'method' if bound else 'function'} {name}"
        case ModuleObject(name):
            return f"module {name}"
        case TupleOf(items):
            return f"tuple[{', '.join(written(program, each) for each in items)}]"
        case Pending(result, _, task):
            return f"{'task' if task else 'pending'}[{written(program, result)}]"
        case Either(options):
            return " | ".join(written(program, each) for each in options)


def _arguments(program: Program, args: tuple[Type, ...]) -> str:
    return f"[{', '.join(written(program, each) for each in args)}]" if args else ""


def reveal(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each `reveal(value, "type")` of the files: the type found, and the type expected."""
    program, types = infer(files)
    return [
        (written(program, types.of(key, call.args[0])), _text(call.args[1]))
        for key, _, call in calls(program, "reveal")
    ]


def _text(expr: ir.Expr) -> str:
    return expr.text if isinstance(expr, ir.Const) else str(expr)


def reached(files: Mapping[str, str], symbol: str) -> list[str]:
    """What the calls of a function reach, one text per call."""
    program, types = infer(files)
    key = key_of(program, symbol)
    return [
        " | ".join(written_callee(program, each) for each in types.callees(key, number))
        for number, step in enumerate(program.function(key).steps)
        if isinstance(step, ir.Call)
    ]


def written_callee(program: Program, callee: Callee) -> str:
    match callee:
        case ProjectCallee(key, receiver, constructs, args, keywords):
            name = program.symbol(key)
            shown = "new" if constructs else written_expr(receiver)
        case LibraryCallee(name, receiver, args, keywords):
            shown = written_expr(receiver)
        case UnresolvedCallee(method, receiver, args, keywords):
            name, shown = f"?{method or ''}", written_expr(receiver)
    values = [written_expr(each) for each in args]
    values += [f"{keyword or '**'}={written_expr(value)}" for keyword, value in keywords]
    return f"{name}({', '.join([f'<{shown}>', *values] if shown else values)})"


def written_expr(expr: ir.Expr | None) -> str:
    match expr:
        case None:
            return ""
        case ir.Name(name):
            return name
        case ir.Attr(base, name):
            return f"{written_expr(base)}.{name}"
        case ir.Const(_, text):
            return text
        case ir.Temp(step):
            return f"${step}"
        case ir.Star(value):
            return f"*{written_expr(value)}"
        case _:
            return type(expr).__name__.lower()
