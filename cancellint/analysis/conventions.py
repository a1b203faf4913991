"""What a method name and the name of its receiver suggest where no type is known."""

import re

from cancellint.model.ir import Attr, Expr, Item, Name

_READER = re.compile(r"(^|_)(stream_?)?reader$|^_*stream_?reader$")
_QUEUE = re.compile(r"(^|_)queue$|^_*q$|_q$")

_CONVENTIONS: tuple[tuple[re.Pattern[str], str, frozenset[str]], ...] = (
    (_READER, "asyncio.StreamReader", frozenset({"read", "readline", "readexactly", "readuntil"})),
    (_QUEUE, "asyncio.Queue", frozenset({"get"})),
)

_STARTERS = (
    (re.compile(r"(^|_)(event_?)?loop$"), "asyncio.AbstractEventLoop", "create_task"),
    (re.compile(r"(^|_)(thread_?pool|executor)(_executor)?$"), "concurrent.futures.Executor", "submit"),
)
"""What starts a task, by the name of its owner and its own."""

CLOSERS = frozenset(
    {"close", "aclose", "disconnect", "abort", "terminate", "shutdown", "kill", "reset", "invalidate", "stop"}
)
"""Methods that, on an object of unknown type, are taken to end it."""


def convention(method: str, receiver: Expr) -> str | None:
    """Return the library method that `receiver.method` is likely to be, or None."""
    name = last_name(receiver)
    if name is None:
        return None
    for pattern, cls, methods in _CONVENTIONS:
        if method in methods and pattern.search(name.lower()):
            return f"{cls}.{method}"
    return None


def starter_by_name(method: str, receiver: Expr) -> str | None:
    """Return the library method by which `receiver.method` likely starts a task or a call in a thread."""
    name = last_name(receiver)
    if name is None:
        return None
    for pattern, cls, started_by in _STARTERS:
        if method == started_by and pattern.search(name.lower()):
            return f"{cls}.{method}"
    return None


def closes_by_name(method: str | None) -> bool:
    """Tell whether a method of unknown type is named like one that ends its object."""
    return method is not None and method.lstrip("_") in CLOSERS


_GIVES_BACK = re.compile(
    r"^_*(release|give_?back|put_?(back|conn(ection)?|client|session)|return_(conn(ection)?|client|session)"
    r"|check_?in|(release|free)_(conn(ection)?|lock|slot|permit|client|session))$"
)


def gives_back_by_name(method: str | None) -> bool:
    """Tell whether a method of unknown effect is named like one that gives something back to its owner."""
    return method is not None and _GIVES_BACK.match(method) is not None


def last_name(expr: Expr) -> str | None:
    """Return the rightmost name of a variable or attribute."""
    match expr:
        case Name(id=name) | Attr(name=name):
            return name
        case Item(base=base):
            return last_name(base)
        case _:
            return None
