"""What the library tables say is true, and what is wrong in a table is told."""

import asyncio
import builtins
import importlib
import importlib.util
import inspect
import multiprocessing
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct
from packaging.version import Version

from cancellint import resources
from cancellint.analysis.library.knowledge import (
    CallShape,
    KnowledgeError,
    argument,
    call_shape,
    load,
)
from cancellint.model.ir import Attr, Const, Expr, Name, Star
from cancellint.model.knowledge import (
    Callback,
    Cancel,
    Entry,
    Mode,
    Naming,
    RaceKind,
    Role,
    SourceKind,
    Suspends,
)

KNOWLEDGE = load()
RUNNING = Version(".".join(map(str, sys.version_info[:3])))
NAMES = KNOWLEDGE.names()
STANDARD = tuple(name for name in NAMES if name.partition(".")[0] in sys.stdlib_module_names)
INSTALLED = tuple(name for name in NAMES if importlib.util.find_spec(name.partition(".")[0]) is not None)
"""Names whose library can be imported here: the standard ones, and those of other installed libraries."""
SOURCES = {"sources": ["https://example.org/client"]}


class Verdict(Struct, frozen=True):
    """What was measured of one call: cancelled at every position, on the versions that its file names."""

    name: str
    args: tuple[str, ...]
    cancel: Cancel
    mode: Mode | None
    suspends: Suspends
    verified: bool


class Measured(Struct, frozen=True):
    versions: str
    verdicts: tuple[Verdict, ...]


EFFECTS = sorted((Path(__file__).parents[2] / "data").glob("effects_*.json"))
MEASURED = [
    verdict for file in EFFECTS for verdict in msgspec.json.decode(file.read_bytes(), type=Measured).verdicts
]


def known(name: str) -> Entry:
    entry = KNOWLEDGE.entry(name)
    assert entry is not None, name
    return entry


def facts(name: str, *args: str | None, python: str | None = None, **keywords: str | None) -> Entry:
    shape = CallShape(
        args=args, keywords=tuple(keywords.items()), python=None if python is None else Version(python)
    )
    entry = KNOWLEDGE.facts(name, shape)
    assert entry is not None, name
    return entry


# --------------------------------------------------------------------------- the tables are true

INSTANCES: dict[str, Callable[[], object]] = {
    "asyncio.Condition": asyncio.Condition,
    "threading.Lock": threading.Lock,
    "threading.RLock": threading.RLock,
    "threading.Condition": threading.Condition,
    "multiprocessing.synchronize.Lock": multiprocessing.Lock,
    "multiprocessing.synchronize.RLock": multiprocessing.RLock,
    "multiprocessing.synchronize.Semaphore": multiprocessing.Semaphore,
    "multiprocessing.synchronize.Condition": multiprocessing.Condition,
}
"""Makers of objects whose methods the class itself does not have, on some Python or on all."""


def found(name: str) -> object | None:
    """The object of a dotted name, None where there is none.

    For an attribute that only instances have, its annotation or the place where `__init__` sets it.
    """
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            owner: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return inside(owner, parts[:cut], parts[cut:])
    return None


def inside(owner: object, path: list[str], rest: list[str]) -> object | None:
    for part in rest:
        make = INSTANCES.get(".".join(path))
        holder = owner if make is None else make()
        if not hasattr(holder, part):
            return assigned(owner, part)
        owner = getattr(holder, part)
        path = [*path, part]
    return owner


def assigned(owner: object, attribute: str) -> object | None:
    if not inspect.isclass(owner):
        return None
    if attribute in inspect.get_annotations(owner):
        return attribute
    if not inspect.isfunction(owner.__init__):
        return None
    return re.search(rf"self\.{attribute}\b\s*(:[^=\n]*)?=", inspect.getsource(owner.__init__))


def is_due(name: str) -> bool:
    """Whether this Python is to have what an entry speaks of."""
    since = known(name).since
    return since is None or Version(since) <= RUNNING


DUE = tuple(name for name in INSTALLED if is_due(name))
NEWER = tuple(name for name in STANDARD if not is_due(name))


def test_every_name_exists() -> None:
    assert [name for name in DUE if found(name) is None] == []
    assert len(DUE) > MANY


MANY = 500
"""Entries of libraries that can be imported here, at the least: those of the standard library."""


def test_a_name_newer_than_this_python_is_not_there_yet() -> None:
    assert [name for name in NEWER if found(name) is not None] == []
    assert {name for name in STANDARD if known(name).since} >= set(NEWER)


def test_what_is_called_a_class_makes_objects() -> None:
    classes = [name for name in DUE if known(name).kind == "class"]

    assert [name for name in classes if not callable(found(name))] == []
    assert len(classes) > 40


def test_every_alias_is_the_same_object() -> None:
    pairs = [(name, alias) for name in DUE for alias in known(name).aliases]
    there = [(name, alias, same) for name, alias in pairs if (same := called(alias)) is not None]

    assert [(name, alias) for name, alias, same in there if same is not found(name)] == []
    assert len(there) > 20


def called(alias: str) -> object | None:
    """The object of an alias; a library may be too old or too new to have it."""
    return found(alias) if "." in alias else getattr(builtins, alias)


def test_every_entry_names_its_sources() -> None:
    form = re.compile(r"https://|measured: |[\w/.]+:\d+ ")

    assert [
        (name, source) for name in NAMES for source in known(name).sources if form.match(source) is None
    ] == []
    assert [name for name in NAMES if not known(name).sources] == []


def test_what_is_called_verified_was_measured() -> None:
    measured = {
        name for name in NAMES if any(source.startswith("measured: ") for source in known(name).sources)
    }

    assert measured == {name for name in NAMES if known(name).verified}
    assert measured


def test_the_parameters_are_those_of_the_function() -> None:
    told = [(name, own) for name in DUE if known(name).params and (own := parameters(name))]

    assert [(name, own) for name, own in told if own[: len(known(name).params)] != known(name).params] == []
    assert len(told) > 50


def parameters(name: str) -> tuple[str, ...]:
    """The parameters that a function names, `*` for `*args`; none where it is in C and does not tell."""
    try:
        every = inspect.signature(found(name)).parameters.values()  # type: ignore[arg-type]
    except ValueError:
        return ()
    return tuple(
        "*" if each.kind is each.VAR_POSITIONAL else each.name
        for each in every
        if each.kind is not each.VAR_KEYWORD and each.name not in ("self", "cls")
    )


def test_bases_are_base_classes() -> None:
    pairs = [(name, base) for name in DUE for base in known(name).bases]

    assert [(name, base) for name, base in pairs if not is_derived(found(name), found(base))] == []
    assert len(pairs) > 10


def is_derived(cls: object, base: object) -> bool:
    return inspect.isclass(cls) and inspect.isclass(base) and issubclass(cls, base)


def test_what_is_awaited_gives_something_to_await() -> None:
    awaited = [
        name
        for name in DUE
        if known(name).awaitable and name not in FUTURES and name.partition(".")[0] not in OWN_AWAITABLES
    ]

    assert [name for name in awaited if not gives_an_awaitable(found(name))] == []
    assert len(awaited) > 50


def gives_an_awaitable(function: object) -> bool:
    if not inspect.isroutine(function):
        return False
    promised = str(inspect.signature(function).return_annotation)
    return inspect.iscoroutinefunction(function) or "Awaitable" in promised


FUTURES = (
    "asyncio.gather",
    "asyncio.shield",
    "asyncio.Future.__await__",
    "asyncio.AbstractEventLoop.run_in_executor",
)
"""What gives a future instead of a coroutine."""

OWN_AWAITABLES = frozenset(
    {"aio_pika", "aiofiles", "aiohttp", "aiomysql", "aiopg", "aiosqlite", "asyncpg", "motor", "sqlalchemy"}
    | {"tornado", "valkey", "websockets", "zmq"}
)
"""Libraries whose functions give futures, or objects of their own that can be awaited."""


TYPE_WORDS = frozenset(dir(builtins)) | {"arg", "awaited", "made", "task", "self"}


def test_a_result_is_of_a_class_that_is_known() -> None:
    words = {(name, word) for name in NAMES for word in words_of_results(known(name))}

    assert [
        (name, word) for name, word in words if word not in TYPE_WORDS and not KNOWLEDGE.is_class(word)
    ] == []
    assert len(words) > 100


def words_of_results(entry: Entry) -> list[str]:
    written = [entry.returns or "", *(variant.returns or "" for variant in entry.when)]
    return [word for text in written for word in re.findall(r"[A-Za-z_][\w.]*", text)]


def test_a_method_has_a_class() -> None:
    owners = sorted({name.rpartition(".")[0] for name in INSTALLED})

    assert [
        owner for owner in owners if not KNOWLEDGE.is_class(owner) and not inspect.ismodule(found(owner))
    ] == []
    assert len(owners) > 50


def test_what_is_said_to_be_a_lock_can_be_held() -> None:
    locks = [name for name in KNOWLEDGE.names() if known(name).lock]

    for name in locks:
        for method, role in (("acquire", Role.ACQUIRES), ("release", Role.RELEASES)):
            assert role in known(f"{name}.{method}").roles, name
        enter = "__aenter__" if known(name).lock == "async" else "__enter__"
        assert Role.ACQUIRES in known(f"{name}.{enter}").roles, name
        assert Role.BLOCKS in known(f"{name}.{enter}").roles or known(name).lock == "async", name
    assert len(locks) > 10


def test_the_verdict_is_the_measured_one() -> None:
    told = [(measured, facts(measured.name, *measured.args)) for measured in MEASURED]

    assert [
        (measured, (entry.cancel, entry.mode, entry.suspends))
        for measured, entry in told
        if (entry.cancel, entry.mode, entry.suspends) != (measured.cancel, measured.mode, measured.suspends)
    ] == []
    assert len(told) > 100


def test_what_was_run_is_marked_so() -> None:
    assert [each.name for each in MEASURED if known(each.name).verified != each.verified] == []


# --------------------------------------------------------------------------- looking up


def test_an_alias_stands_for_its_public_name() -> None:
    assert KNOWLEDGE.canonical("asyncio.queues.Queue") == "asyncio.Queue"


def test_a_class_alias_holds_for_its_methods() -> None:
    assert KNOWLEDGE.canonical("asyncio.streams.StreamReader.read") == "asyncio.StreamReader.read"
    assert KNOWLEDGE.entry("asyncio.streams.StreamReader.read") is known("asyncio.StreamReader.read")


def test_an_unknown_name_is_its_own() -> None:
    assert KNOWLEDGE.canonical("nowhere.at.all") == "nowhere.at.all"
    assert KNOWLEDGE.entry("nowhere.at.all") is None
    assert KNOWLEDGE.facts("nowhere.at.all", CallShape()) is None


def test_a_method_is_inherited_through_several_bases() -> None:
    assert known("asyncio.PriorityQueue.get") is known("asyncio.Queue.get")
    assert known("asyncio.queues.LifoQueue.put") is known("asyncio.Queue.put")
    assert known("asyncio.Transport.close") is known("asyncio.BaseTransport.close")


def test_a_class_is_told_from_a_function() -> None:
    assert KNOWLEDGE.is_class("asyncio.streams.StreamWriter")
    assert not KNOWLEDGE.is_class("asyncio.open_connection")
    assert not KNOWLEDGE.is_class("nowhere.Class")


def test_bases_in_a_circle_end() -> None:
    a = {"kind": "class", "bases": ["x.B"], **SOURCES}
    b = {"kind": "class", "bases": ["x.A"], **SOURCES}

    assert load([{"x.A": a, "x.B": b}], shipped=False).entry("x.A.method") is None


def test_a_later_table_replaces_an_earlier_entry() -> None:
    ours = load([{"asyncio.sleep": {"roles": ["looks"], **SOURCES}}])

    assert ours.entry("asyncio.sleep") == Entry(roles=(Role.LOOKS,), sources=tuple(SOURCES["sources"]))


# --------------------------------------------------------------------------- variants


@pytest.mark.parametrize(
    ("shape", "cancel"),
    [
        (CallShape(), Cancel.LOSES),
        (CallShape(args=("-1",)), Cancel.LOSES),
        (CallShape(keywords=(("n", "-1"),)), Cancel.LOSES),
        (CallShape(args=("4096",)), Cancel.SAFE),
        (CallShape(args=(None,)), Cancel.SAFE),
        (CallShape(keywords=(("n", None),)), Cancel.SAFE),
        (CallShape(open=True), Cancel.SAFE),
    ],
)
def test_reading_to_the_end_is_told_from_reading_some(shape: CallShape, cancel: Cancel) -> None:
    entry = KNOWLEDGE.facts("asyncio.StreamReader.read", shape)

    assert entry is not None
    assert entry.cancel == cancel
    assert entry.mode == (Mode.ACCUMULATES if cancel is Cancel.LOSES else None)


def test_waiting_for_all_without_a_time_limit_is_no_race() -> None:
    assert facts("asyncio.wait", None).race is None
    assert facts("asyncio.wait", None, return_when="ALL_COMPLETED", timeout="None").race is None
    assert facts("asyncio.wait", None, timeout="5").race is RaceKind.LEAVES_RUNNING
    assert facts("asyncio.wait", None, return_when="FIRST_COMPLETED").race is RaceKind.LEAVES_RUNNING
    assert facts("asyncio.wait", None, return_when=None).race is RaceKind.LEAVES_RUNNING


@pytest.mark.parametrize("name", ["asyncio.timeout", "asyncio.timeout_at", "async_timeout.timeout"])
def test_a_time_limit_of_none_is_no_race(name: str) -> None:
    assert facts(name, "None").race is None
    assert Role.RACES not in facts(name, "None").roles
    assert facts(name, "5").race is RaceKind.CANCELS_RAISES
    assert facts(name, None).race is RaceKind.CANCELS_RAISES


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("anyio.CancelScope", "deadline"),
        ("trio.CancelScope", "deadline"),
        ("trio.CancelScope", "relative_deadline"),
    ],
)
@pytest.mark.parametrize("shield", [None, "True", "False"])
def test_a_scope_with_a_deadline_ends_its_body(name: str, limit: str, shield: str | None) -> None:
    bare = facts(name, shield=shield) if shield else facts(name)
    timed = facts(name, **{limit: None}, shield=shield) if shield else facts(name, **{limit: None})

    assert bare.race is RaceKind.SCOPE
    assert timed.race is RaceKind.CANCELS_FALLS_THROUGH
    assert (Role.SHIELDS in bare.roles, Role.SHIELDS in timed.roles) == (shield == "True",) * 2


def test_what_text_is_made_of_is_handed_on() -> None:
    """A text made of data holds the data."""
    for name in ("builtins.repr", "builtins.ascii", "builtins.str.format"):
        assert Role.LOOKS not in known(name).roles, name


def test_a_time_limit_is_seen_by_position_and_by_name() -> None:
    assert facts("asyncio.wait_for", None, "None").race is None
    assert facts("asyncio.wait_for", None, timeout="None").race is None
    assert facts("asyncio.wait_for", None, timeout="3").race is RaceKind.CANCELS_RAISES


def test_an_older_python_has_its_own_verdict() -> None:
    assert facts("asyncio.wait_for", python="3.13").suspends is Suspends.MAYBE
    assert facts("asyncio.wait_for", python="3.11").suspends is Suspends.ALWAYS
    assert facts("asyncio.wait_for", python="3.8").cancel is Cancel.LOSES


def test_versions_that_behave_otherwise_are_listed() -> None:
    versions = [Version(text) for text in ("3.12", "3.11", "3.8")]
    older = KNOWLEDGE.older_verdicts("asyncio.wait_for", CallShape(python=Version("3.13")), versions)

    assert [str(version) for version, _ in older] == ["3.11", "3.8"]
    assert all("swallowed" in entry.note for _, entry in older)


def test_where_no_version_differs_none_is_listed() -> None:
    assert KNOWLEDGE.older_verdicts("asyncio.Queue.get", CallShape(), [Version("3.8")]) == ()


def test_a_library_version_chooses_the_variant() -> None:
    recv = {"roles": ["consumes"], "when": [{"version": "<2", "cancel": "loses", "mode": "race"}], **SOURCES}
    ours = load([{"client.recv": recv}], shipped=False)
    old = ours.facts("client.recv", CallShape(libraries=(("client", Version("1.9")),)))
    new = ours.facts("client.recv", CallShape(libraries=(("client", Version("2.0")),)))
    unknown = ours.facts("client.recv", CallShape())

    assert [entry.cancel for entry in (old, new, unknown) if entry] == ["loses", "safe", "safe"]


def test_the_first_variant_that_applies_counts() -> None:
    when = [{"arg": "0", "equals": ["1"], "note": "first"}, {"arg": "0", "equals": ["1"], "note": "second"}]
    ours = load([{"f.g": {"when": when, **SOURCES}}], shipped=False)
    entry = ours.facts("f.g", CallShape(args=("1",)))

    assert entry is not None
    assert entry.note == "first"


def test_a_variant_that_is_safe_loses_in_no_way() -> None:
    when = [{"version": ">=2", "cancel": "safe"}]
    ours = load([{"f.g": {"cancel": "loses", "mode": "race", "when": when, **SOURCES}}], shipped=False)
    entry = ours.facts("f.g", CallShape())

    assert entry is not None
    assert (entry.cancel, entry.mode) == (Cancel.SAFE, None)


def test_facts_do_not_change_with_the_order_of_questions() -> None:
    shapes = [CallShape(), CallShape(args=("1",)), CallShape(args=("-1",))]
    forward, backward = load(), load()
    asked = [forward.facts("asyncio.StreamReader.read", shape) for shape in shapes]
    asked_back = [backward.facts("asyncio.StreamReader.read", shape) for shape in reversed(shapes)]

    assert asked == asked_back[::-1]


# --------------------------------------------------------------------------- calls


def test_the_shape_of_a_call_keeps_literals_and_constants() -> None:
    args: tuple[Expr, ...] = (Const("int", "-1"), Name("size"))
    keywords = (("return_when", Attr(Name("asyncio"), "FIRST_COMPLETED")),)

    assert call_shape(args, keywords) == CallShape(
        args=("-1", None), keywords=(("return_when", "FIRST_COMPLETED"),)
    )


def test_starred_arguments_leave_a_call_open() -> None:
    assert call_shape((Name("a"), Star(Name("rest")), Name("b")), ()) == CallShape(args=(None,), open=True)
    assert call_shape((), ((None, Name("options")),)) == CallShape(open=True)


def test_an_operand_finds_its_argument_by_position_or_name() -> None:
    entry = known("asyncio.wait_for")
    limit = Const("int", "3")

    assert argument(entry, "arg:timeout", (Name("c"), limit), ()) == limit
    assert argument(entry, "arg:timeout", (Name("c"),), (("timeout", limit),)) == limit
    assert argument(entry, "arg:0", (), (("fut", Name("c")),)) == Name("c")
    assert argument(entry, "arg:1", (Star(Name("both")),), ()) is None


# --------------------------------------------------------------------------- mistakes

MISTAKES = [
    ({"suspend": "always"}, '["x.f"].suspend', 'unknown key; did you mean "suspends"?'),
    ({"roles": ["consume"]}, '["x.f"].roles[0]', 'did you mean "consumes"?'),
    ({"suspends": "allways"}, '["x.f"].suspends', 'did you mean "always"?'),
    ({"cancel": "save"}, '["x.f"].cancel', 'did you mean "safe"?'),
    ({"mode": "acumulates"}, '["x.f"].mode', 'did you mean "accumulates-on-stack"?'),
    ({"race": "cancels", "roles": ["races"]}, '["x.f"].race', 'did you mean "cancels-raises"?'),
    ({"kind": "klass"}, '["x.f"].kind', 'did you mean "class"?'),
    ({"lock": "threads"}, '["x.f"].lock', 'did you mean "thread"?'),
    ({"awaitable": "yes"}, '["x.f"].awaitable', "expected `bool`, got `str`"),
    ({"roles": "consumes"}, '["x.f"].roles', "expected `array`, got `str`"),
    ({"when": [{"args": "n"}]}, '["x.f"].when[0].args', 'unknown key; did you mean "arg"?'),
    ({"when": [{"arg": "0", "absent": True, "cancel": "lose"}]}, '["x.f"].when[0].cancel', '"loses"?'),
    ({"when": [{"also": [{"arg": "n", "equal": ["1"]}]}]}, '["x.f"].when[0].also[0].equal', '"equals"?'),
    ({"when": [{"also": [{"absent": True}]}]}, '["x.f"].when[0].also[0]', "missing required field `arg`"),
    ({"when": [{"cancel": "loses"}]}, '["x.f"].when[0]', "give it arg, python or version"),
    ({"when": [{"arg": "0"}]}, '["x.f"].when[0].arg', "needs absent = true or equals"),
    ({"when": [{"python": "3.12"}]}, '["x.f"].when[0].python', "not a version specifier"),
    ({"when": [{"version": "new"}]}, '["x.f"].when[0].version', "not a version specifier"),
    ({"when": [{"python": "<3", "returns": "a["}]}, '["x.f"].when[0].returns', "not a type"),
    ({"params": ["size"], "of": "arg:sise"}, '["x.f"].of', 'did you mean "size"?'),
    ({"params": ["n"], "when": [{"arg": "m", "absent": True}]}, '["x.f"].when[0].arg', "params"),
    ({"of": "sefl"}, '["x.f"].of', '"sefl" is not an operand; did you mean "self"?'),
    ({"into": "args:0"}, '["x.f"].into', 'did you mean "arg:0"?'),
    ({"returns": "tuple[int"}, '["x.f"].returns', "is not a type"),
    ({"roles": ["races"]}, '["x.f"].race', 'needs both the role "races" and the key race'),
    ({"race": "scope"}, '["x.f"].race', 'needs both the role "races" and the key race'),
    ({"since": "soon"}, '["x.f"].since', "is not a version"),
    ({"plainly": "arg:function"}, '["x.f"].plainly', "is not among the params"),
    ({"coroutine": True}, '["x.f"].coroutine', "only what is awaitable is a coroutine"),
    ({"awaitable": True, "tasks-only": "3.11"}, '["x.f"].tasks-only', "not a version specifier"),
    ({"kind": "class", "bases": ["asyncio.Queeu"]}, '["x.f"].bases', 'did you mean "asyncio.Queue"?'),
    ({"aliases": ["asyncio.Queue"]}, '["x.f"].aliases', 'already the name of "asyncio.Queue"'),
    ({"aliases": ["asyncio.queues.Queue"]}, '["x.f"].aliases', 'already the name of "asyncio.Queue"'),
    ({"cancel": "loses"}, '["x.f"].mode', "say how it loses"),
    ({"mode": "race"}, '["x.f"].mode', "only what loses has a mode"),
    ({"sources": []}, '["x.f"].sources', "is missing"),
]


@pytest.mark.parametrize(("keys", "key", "problem"), MISTAKES)
def test_a_mistake_names_its_key_and_what_is_nearest(keys: dict[str, object], key: str, problem: str) -> None:
    with pytest.raises(KnowledgeError) as raised:
        load([{"x.f": SOURCES | keys}])

    assert raised.value.key == key
    assert problem in raised.value.problem
    assert str(raised.value) == f"<table>: {key}: {raised.value.problem}"


def test_an_entry_under_an_alias_is_told_its_public_name() -> None:
    with pytest.raises(KnowledgeError, match=r'is known as "asyncio\.Queue\.get"; use that name'):
        load([{"asyncio.queues.Queue.get": SOURCES}])


def test_an_entry_that_is_no_table_is_a_mistake() -> None:
    with pytest.raises(KnowledgeError, match=r'"roles": an entry is a table; write \["roles"\]'):
        load([{"roles": ["consumes"]}])


def test_a_mistake_names_its_file(tmp_path: Path) -> None:
    table = tmp_path / "client.toml"
    table.write_text('["client.recv"]\nroles = ["consumse"]\n', encoding="utf-8")

    with pytest.raises(KnowledgeError, match='"consumes"') as raised:
        load([table])

    assert raised.value.file == str(table)
    assert str(raised.value).startswith(f'{table}: ["client.recv"].roles[0]: "consumse" is not one of')


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b'["a.b"\n', "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (None, "cannot be read")],
)
def test_an_unreadable_table_is_told(tmp_path: Path, content: bytes | None, problem: str) -> None:
    table = tmp_path / "client.toml"
    if content is not None:
        table.write_bytes(content)

    with pytest.raises(KnowledgeError, match=problem):
        load([table])


# --------------------------------------------------------------------------- documentation

README = (resources.rules_folder() / "knowledge" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Role, *Suspends, *Cancel, *Mode, *RaceKind])
def test_every_word_of_the_format_is_explained(word: str) -> None:
    assert f"`{word}`" in README


@pytest.mark.parametrize("key", Entry.__struct_encode_fields__)
def test_every_key_of_an_entry_is_explained(key: str) -> None:
    assert f"| `{key}` |" in README


@pytest.mark.parametrize("key", Naming.__struct_encode_fields__)
def test_every_naming_convention_is_explained(key: str) -> None:
    assert re.search(rf"^\| .*`{key}`.* \|", README, re.MULTILINE)


@pytest.mark.parametrize("word", [*SourceKind, *Callback])
def test_every_word_of_a_key_is_explained(word: str) -> None:
    assert f'`"{word}"`' in README


def test_the_example_tables_load(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.toml").write_text(example, encoding="utf-8")
        known = load([tmp_path / f"{number}.toml"])
        names = "hang_up" in known.conventions.closes
        assert names == ("[conventions]" in example)
        assert names != (known.names() != KNOWLEDGE.names())

    assert examples


# --------------------------------------------------------------------------- where the tables lie


def rules_folder_of(package: Path) -> str:
    """What the resources module answers when it lies in this package, in a fresh interpreter."""
    package.mkdir(parents=True, exist_ok=True)
    shutil.copy(resources.__file__, package / "resources.py")
    ask = (
        "import resources\n"
        "try: print(resources.rules_folder())\n"
        "except resources.ResourcesError as error: print(error)"
    )
    return subprocess.run(
        [sys.executable, "-c", ask], cwd=package, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_wheel_carries_the_tables_inside_the_package(tmp_path: Path) -> None:
    inside_package = tmp_path / "site-packages" / "cancellint" / "_rules"
    (inside_package / "knowledge").mkdir(parents=True)
    (tmp_path / "site-packages" / "rules" / "knowledge").mkdir(parents=True)

    assert rules_folder_of(inside_package.parent) == str(inside_package.resolve())


def test_a_checkout_has_the_tables_beside_the_package(tmp_path: Path) -> None:
    beside = tmp_path / "rules"
    (beside / "knowledge").mkdir(parents=True)

    assert rules_folder_of(tmp_path / "cancellint") == str(beside.resolve())


def test_an_installation_without_tables_is_told(tmp_path: Path) -> None:
    answer = rules_folder_of(tmp_path / "cancellint")

    assert answer.startswith("no rule pages in ")
    assert answer.endswith("; reinstall cancellint")
