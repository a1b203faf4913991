"""What a method name and the name of its receiver suggest where no type is known."""

import re

from cancellint.model.ir import Attr, Expr, Imported, Item, Name

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


_CONNECTION = re.compile(
    r"(^|_)(ws|websocket|web_socket|sock|socket|conn|connection|stream|reader|writer|transport|serial|port"
    r"|channel)$"
)
_MESSAGE = r"(command|cmd|request|query|message|msg|packet|frame|pdu)"
_SENDS = re.compile(rf"^_*(send|write)_(\w+_)?{_MESSAGE}$")
_SENDS_ON_CONNECTION = re.compile(r"^(send|sendall|send_(all|bytes|json|str|text)|write|writelines)$")
_RECEIVES = re.compile(rf"^_*(read|recv|receive)_(\w+_)?({_MESSAGE}|response|reply|answer|result)$")
_RECEIVES_FROM_CONNECTION = re.compile(
    r"^(recv|receive|read|readline|readexactly|readuntil|read_until|(recv|receive)_(bytes|json|some|str|text))$"
)

_TAKES_REPLY = re.compile(
    rf"^_*(read|recv|receive|get|parse|wait_for|await)_(\w+_)?({_MESSAGE}|response|reply|answer|result|line)$"
)


def sends_by_name(method: str, receiver: Expr) -> bool:
    """Tell whether a method of unknown effect is named like one that sends a request on a connection."""
    if _SENDS.match(method):
        return True
    return _SENDS_ON_CONNECTION.match(method) is not None and _is_connection_name(receiver)


def receives_by_name(method: str, receiver: Expr) -> bool:
    """Tell whether a method of unknown effect is named like one that waits for a reply on a connection."""
    if _RECEIVES.match(method):
        return True
    return _RECEIVES_FROM_CONNECTION.match(method) is not None and _is_connection_name(receiver)


def takes_reply_by_name(method: str) -> bool:
    """Tell whether a method, whatever it reaches, is named for the reply that it waits for."""
    return _TAKES_REPLY.match(method) is not None


_BEGINS_OR_ENDS = re.compile(
    r"^(re)?(connect|open|login|log_in|authenticate|authorize|handshake|negotiate|initiali[sz]e|init|setup|start|pair)"
    r"(_|$)|^(run|listen|serve|main|loop|handle|process|on|subscribe|consume|watch|monitor)(_|$)"
    r"|^(quit|logout|log_out|bye|exit|finish|shutdown|disconnect)(_|$)"
)


def begins_or_ends_by_name(method: str) -> bool:
    """Tell whether a method is named for the beginning, the whole life or the end of a connection."""
    return _BEGINS_OR_ENDS.match(method) is not None or closes_by_name(method)


def _is_connection_name(expr: Expr) -> bool:
    name = last_name(expr)
    return name is not None and _CONNECTION.search(name.lower().strip("_")) is not None


def last_name(expr: Expr) -> str | None:
    """Return the rightmost name of a variable or attribute."""
    match expr:
        case Name(id=name) | Attr(name=name):
            return name
        case Item(base=base):
            return last_name(base)
        case Imported(name=name):
            return name
        case _:
            return None
