"""The shape of Python's own containers: which part of them an operation hands out."""

import builtins
from collections.abc import Mapping

from cancellint.analysis.program.type_algebra import (
    NONE,
    NOTHING,
    UNKNOWN,
    instance,
    join,
    options,
    tuple_of,
)
from cancellint.model.types import Instance, NoneValue, Pending, TupleOf, Type, Unknown

BUILTINS = frozenset(vars(builtins))
BUILTIN_CLASSES = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))

SEQUENCES = frozenset({"list", "set", "frozenset", "tuple", "collections.deque"})
MAPPINGS = frozenset(
    {
        "dict",
        "collections.defaultdict",
        "collections.OrderedDict",
        "collections.abc.Mapping",
        "collections.abc.MutableMapping",
        "weakref.WeakValueDictionary",
        "weakref.WeakKeyDictionary",
        "types.MappingProxyType",
    }
)
QUEUES = frozenset(
    {
        "asyncio.Queue",
        "asyncio.PriorityQueue",
        "asyncio.LifoQueue",
        "queue.Queue",
        "queue.LifoQueue",
        "queue.PriorityQueue",
        "queue.SimpleQueue",
    }
)
ITERABLES = frozenset(
    {
        "collections.abc.Iterable",
        "collections.abc.Iterator",
        "collections.abc.Generator",
        "collections.abc.Sequence",
        "collections.abc.MutableSequence",
        "collections.abc.Collection",
        "collections.abc.Set",
        "collections.abc.MutableSet",
        "collections.abc.AsyncIterable",
        "collections.abc.AsyncIterator",
        "collections.abc.AsyncGenerator",
        "collections.Counter",
        "weakref.WeakSet",
    }
)
AWAITABLES = frozenset(
    {
        "collections.abc.Awaitable",
        "collections.abc.Coroutine",
        "asyncio.Future",
        "asyncio.Task",
        "concurrent.futures.Future",
    }
)
WRAPPERS = frozenset({"contextlib.closing", "contextlib.aclosing", "contextlib.nullcontext", "weakref.ref"})
"""Classes whose type argument is the type of what they were made of."""
CONTEXT_MANAGERS = frozenset(
    {
        "contextlib.closing",
        "contextlib.aclosing",
        "contextlib.nullcontext",
        "contextlib.AbstractContextManager",
        "contextlib.AbstractAsyncContextManager",
    }
)
"""Context managers whose type argument is what entering them gives."""
FILLED_LATER = SEQUENCES | MAPPINGS | QUEUES
"""Classes whose instances take their element types from what is put into them."""

CLASSES = FILLED_LATER | ITERABLES | WRAPPERS | {"functools.partial"}
"""Classes whose type arguments this module knows how to use, whatever their spelling."""

_TYPING_GENERICS: Mapping[str, str] = {
    "typing.List": "list",
    "typing.Dict": "dict",
    "typing.Set": "set",
    "typing.FrozenSet": "frozenset",
    "typing.Tuple": "tuple",
    "typing.Type": "type",
    "typing.Text": "str",
    "typing.AnyStr": "typing.Any",
    "typing.LiteralString": "str",
    "typing.Deque": "collections.deque",
    "typing.DefaultDict": "collections.defaultdict",
    "typing.OrderedDict": "collections.OrderedDict",
    "typing.Counter": "collections.Counter",
    "typing.AbstractSet": "collections.abc.Set",
    "typing.ContextManager": "contextlib.AbstractContextManager",
    "typing.AsyncContextManager": "contextlib.AbstractAsyncContextManager",
    "types.CoroutineType": "collections.abc.Coroutine",
    "types.AsyncGeneratorType": "collections.abc.AsyncGenerator",
    "types.GeneratorType": "collections.abc.Generator",
}
_SAME_IN_COLLECTIONS = frozenset(
    {
        "Awaitable",
        "Coroutine",
        "AsyncIterable",
        "AsyncIterator",
        "AsyncGenerator",
        "Iterable",
        "Iterator",
        "Generator",
        "Sequence",
        "MutableSequence",
        "Collection",
        "MutableSet",
        "Mapping",
        "MutableMapping",
        "Callable",
        "Hashable",
        "Sized",
        "Container",
        "Reversible",
    }
)


def plain_class_name(name: str) -> str:
    """The name by which a class is known here.

    `typing.List` is `list`, `typing.Awaitable` lives in `collections.abc`.
    """
    if name.startswith("builtins."):
        return name.removeprefix("builtins.")
    if name.startswith("typing_extensions."):
        name = f"typing.{name.removeprefix('typing_extensions.')}"
    if name in _TYPING_GENERICS:
        return _TYPING_GENERICS[name]
    module, _, last = name.rpartition(".")
    if module == "typing" and last in _SAME_IN_COLLECTIONS:
        return f"collections.abc.{last}"
    return name


def public_name(cls: str) -> str:
    """The dotted name of a class as knowledge knows it: `list` is `builtins.list`."""
    return f"builtins.{cls}" if cls in BUILTIN_CLASSES else cls


def element(found: Type) -> Type:
    """What iterating over a value of this type gives, as far as the type alone tells."""
    return join(_element(option) for option in options(found))


def _element(option: Type) -> Type:
    match option:
        case TupleOf(items):
            return join(items)
        case Instance("str" | "bytes" | "bytearray" as cls):
            return Instance("str" if cls == "str" else "int")
        case Instance("range"):
            return Instance("int")
        case Instance(cls, args) if args and (cls in SEQUENCES or cls in MAPPINGS or cls in ITERABLES):
            return args[0]
        case Pending(result, task=False):
            return result
        case NoneValue():
            return NOTHING
        case _:
            return UNKNOWN


def subscript(found: Type, key: Type) -> Type:
    """What `value[key]` gives; a slice has the type `slice`."""
    return join(_subscript(option, key) for option in options(found))


def _subscript(option: Type, key: Type) -> Type:
    sliced = key == Instance("slice")
    match option:
        case TupleOf(items):
            return instance("tuple", (join(items),)) if sliced else join(items)
        case Instance("str" | "bytes" | "bytearray" | "memoryview" as cls):
            return option if sliced or cls == "str" else Instance("int")
        case Instance(cls, args) if cls in MAPPINGS:
            return args[1] if len(args) > 1 else UNKNOWN
        case Instance(cls, args) if cls in SEQUENCES or cls.startswith("collections.abc."):
            if sliced:
                return option
            return args[0] if args else UNKNOWN
        case NoneValue():
            return NOTHING
        case _:
            return UNKNOWN


def method_result(receiver: Instance, method: str) -> Type:
    """What a method of a built-in container or text gives; Unknown for any other."""
    if receiver.cls in MAPPINGS:
        return _mapping_method(receiver, method)
    if receiver.cls in SEQUENCES or receiver.cls in QUEUES:
        return _sequence_method(receiver, method)
    if receiver.cls in {"str", "bytes", "bytearray"}:
        return _text_method(receiver, method)
    return UNKNOWN


def _mapping_method(receiver: Instance, method: str) -> Type:
    key, value = receiver.args if len(receiver.args) == 2 else (UNKNOWN, UNKNOWN)
    match method:
        case "pop" | "setdefault" | "__getitem__":
            return value
        case "get":
            return join((value, NONE))
        case "values":
            return instance("collections.abc.Iterable", (value,))
        case "keys":
            return instance("collections.abc.Iterable", (key,))
        case "items":
            return instance("collections.abc.Iterable", (tuple_of((key, value)),))
        case "popitem":
            return tuple_of((key, value))
        case "copy":
            return instance(receiver.cls, receiver.args)
        case "clear" | "update":
            return NONE
        case _:
            return UNKNOWN


def _sequence_method(receiver: Instance, method: str) -> Type:
    match method:
        case "pop" | "popleft" | "get_nowait" | "__getitem__":
            return receiver.args[0] if receiver.args else UNKNOWN
        case "get" if receiver.cls in QUEUES:
            return receiver.args[0] if receiver.args else UNKNOWN
        case "copy" | "union" | "difference" | "intersection" | "symmetric_difference":
            return instance(receiver.cls, receiver.args)
        case "count" | "index" | "qsize":
            return Instance("int")
        case "append" | "appendleft" | "add" | "extend" | "update" | "discard" | "remove" | "clear":
            return NONE
        case _:
            return UNKNOWN


_TEXT_TO_SAME = frozenset(
    {
        "strip", "lstrip", "rstrip", "lower", "upper", "title", "casefold", "capitalize", "replace", "join",
        "removeprefix", "removesuffix", "zfill", "ljust", "rjust", "center", "format", "translate",
    }
)  # fmt: skip
_TEXT_TO_INT = frozenset({"find", "rfind", "index", "rindex", "count"})


def _text_method(receiver: Instance, method: str) -> Type:
    if method in _TEXT_TO_SAME:
        return Instance(receiver.cls)
    if method in _TEXT_TO_INT:
        return Instance("int")
    match method:
        case "encode":
            return Instance("bytes")
        case "decode" | "hex":
            return Instance("str")
        case "split" | "rsplit" | "splitlines":
            return Instance("list", (Instance(receiver.cls),))
        case "partition" | "rpartition":
            return TupleOf((Instance(receiver.cls),) * 3)
        case "startswith" | "endswith" | "isdigit" | "isalpha" | "isspace":
            return Instance("bool")
        case _:
            return UNKNOWN


def builtin_result(name: str, arguments: tuple[Type, ...]) -> Type:
    """What calling a built-in function or class gives, from the types of its arguments."""
    first = arguments[0] if arguments else UNKNOWN
    match name:
        case "list" | "set" | "frozenset" | "tuple" | "collections.deque":
            return instance(name, (element(first),)) if arguments else Instance(name)
        case "sorted":
            return instance("list", (element(first),))
        case "reversed" | "iter" | "filter":
            source = arguments[-1] if arguments else UNKNOWN
            return instance("collections.abc.Iterator", (element(source),))
        case "enumerate":
            return instance("collections.abc.Iterator", (tuple_of((Instance("int"), element(first))),))
        case "zip":
            return instance("collections.abc.Iterator", (tuple_of([element(each) for each in arguments]),))
        case "dict":
            return first if isinstance(first, Instance) and first.cls in MAPPINGS else Instance("dict")
        case "next":
            return join((element(first), *arguments[1:]))
        case "min" | "max":
            return join(arguments) if len(arguments) > 1 else element(first)
        case "len" | "ord" | "hash" | "id" | "sum" | "int.from_bytes":
            return Instance("int")
        case "isinstance" | "issubclass" | "callable" | "hasattr" | "any" | "all":
            return Instance("bool")
        case "repr" | "chr" | "format" | "hex" | "input" | "ascii" | "bin":
            return Instance("str")
        case "print":
            return NONE
        case "aiter":
            return first
        case _ if name in BUILTIN_CLASSES:
            return Instance(name)
        case _:
            return UNKNOWN


def known_element(found: Type) -> Type:
    """The element type if the value is a container of known elements, else Unknown."""
    inner = element(found)
    return UNKNOWN if inner == NOTHING or isinstance(inner, Unknown) else inner
