"""Facts about library calls: loading the tables, and what holds at one call.

The tables are TOML files; `rules/knowledge/README.md` describes them. Those that come with the tool
are read first, a project's own are laid over them: a later table's entry replaces an earlier one of
the same name as a whole.
"""

import ast
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct, inspect
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from cancellint import resources
from cancellint.analysis.library import compiled_tables
from cancellint.analysis.library.conventions import Conventions, may_explode
from cancellint.analysis.program.arguments import given
from cancellint.bounded import Unusable, read_toml
from cancellint.mistakes import Mistake
from cancellint.model.ir import Attr, Const, Expr, Name, Star
from cancellint.model.knowledge import (
    Cancel,
    Condition,
    Entry,
    Mode,
    Naming,
    RaceKind,
    Role,
    SourceKind,
    Variant,
)
from cancellint.printable import shortened

Table: TypeAlias = Mapping[str, object]
"""A parsed table: public dotted name to the keys of its entry."""

NEWEST = Version("9999")
"""Stands for a version that is not known: what is newest is assumed."""


class KnowledgeError(Mistake):
    """A table says something that cannot be understood, or cannot be read."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        self.file = file
        self.key = key
        self.problem = problem
        super().__init__(": ".join(part for part in (file, key, problem) if part))


# --------------------------------------------------------------------------- calls


class CallShape(Struct, frozen=True, kw_only=True):
    """What of a call a variant may ask for.

    `args` and `keywords` hold the literals' texts, None for anything else. `open` tells that a `*args`
    or `**kwargs` may supply more. A version of None, or a library not listed, is taken to be the newest.
    """

    args: tuple[str | None, ...] = ()
    keywords: tuple[tuple[str, str | None], ...] = ()
    open: bool = False
    python: Version | None = None
    libraries: tuple[tuple[str, Version], ...] = ()
    """import name of a library and its newest supported version"""


def call_shape(
    args: Sequence[Expr],
    keywords: Sequence[tuple[str | None, Expr]],
    python: Version | None = None,
    libraries: tuple[tuple[str, Version], ...] = (),
) -> CallShape:
    """The shape of a call with these arguments."""
    plain = _before_a_star(args)
    named = tuple((name, _literal(value)) for name, value in keywords if name is not None)
    return CallShape(
        args=tuple(_literal(arg) for arg in plain),
        keywords=named,
        open=len(plain) < len(args) or len(named) < len(keywords),
        python=python,
        libraries=libraries,
    )


def argument(
    entry: Entry, operand: str, args: Sequence[Expr], keywords: Sequence[tuple[str | None, Expr]]
) -> Expr | None:
    """The argument that an operand `arg:0` or `arg:name` names; None where none is visibly given."""
    return next(iter(given(entry.params, operand.removeprefix("arg:"), args, keywords)), None)


def _before_a_star(args: Sequence[Expr]) -> Sequence[Expr]:
    stars = (position for position, arg in enumerate(args) if isinstance(arg, Star))
    return args[: next(stars, len(args))]


def _literal(value: Expr) -> str | None:
    match value:
        case Const(text=text):
            return text
        case Name(id=name) | Attr(name=name) if name.isupper():
            return name
        case _:
            return None


# --------------------------------------------------------------------------- variants


def _holds(condition: Condition, entry: Entry, call: CallShape) -> bool:
    texts = given(entry.params, condition.arg, call.args, call.keywords)
    if not texts:
        return condition.absent and not call.open
    return texts[0] is not None and texts[0] in condition.equals


def _applies(variant: Variant, entry: Entry, call: CallShape, library: Version) -> bool:
    if variant.python is not None and not meets(call.python or NEWEST, variant.python):
        return False
    if variant.version is not None and not meets(library, variant.version):
        return False
    return all(_holds(condition, entry, call) for condition in _conditions(variant))


def _conditions(variant: Variant) -> Iterator[Condition]:
    if variant.arg is not None:
        yield Condition(arg=variant.arg, absent=variant.absent, equals=variant.equals)
    yield from variant.also


def meets(version: Version, specifier: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def _varied(entry: Entry, variant: Variant) -> Entry:
    cancel = variant.cancel or entry.cancel
    return msgspec.structs.replace(
        entry,
        roles=entry.roles if variant.roles is None else variant.roles,
        suspends=variant.suspends or entry.suspends,
        cancel=cancel,
        mode=None if cancel is Cancel.SAFE else variant.mode or entry.mode,
        race=variant.race or entry.race,
        delivers=entry.delivers if variant.delivers is None else variant.delivers,
        fails=entry.fails if variant.fails is None else variant.fails,
        returns=entry.returns if variant.returns is None else variant.returns,
        same_as=entry.same_as if variant.same_as is None else variant.same_as or None,
        note=entry.note if variant.note is None else variant.note,
    )


def _without_idle_race(entry: Entry, call: CallShape) -> Entry:
    """The entry, without its race where the time limit is a literal None, or no role of a race is left."""
    if entry.race is None:
        return entry
    roles = entry.roles
    if entry.timeout is not None and _holds(
        Condition(arg=entry.timeout.removeprefix("arg:"), equals=("None",)), entry, call
    ):
        roles = tuple(role for role in roles if role is not Role.RACES)
    if Role.RACES in roles:
        return entry
    return msgspec.structs.replace(entry, roles=roles, race=None)


# --------------------------------------------------------------------------- lookup


class Knowledge:
    """All that is known of library names. It never changes; the answers given are remembered."""

    def __init__(self, entries: Mapping[str, Entry], naming: Naming | None = None) -> None:
        self._entries = dict(entries)
        self.conventions = Conventions(naming or Naming())
        self._aliases = {alias: name for name, entry in entries.items() for alias in entry.aliases}
        self._public: dict[str, str] = {}
        self._resolved: dict[str, Entry | None] = {}
        self._sources: dict[str, SourceKind | None] = {}
        self._shaped: dict[tuple[str, CallShape], Entry | None] = {}

    def names(self) -> tuple[str, ...]:
        """The public names of all entries, sorted."""
        return tuple(sorted(self._entries))

    def queues(self) -> tuple[str, ...]:
        """The public names of what makes queues, sorted."""
        return tuple(name for name in self.names() if self._entries[name].queue is not None)

    @cached_property
    def stacks(self) -> frozenset[str]:
        """The classes whose objects leave other context managers with themselves."""
        entering = (name for name, entry in self._entries.items() if entry.enters is not None)
        return frozenset(name.rpartition(".")[0] for name in entering)

    def with_role(self, role: Role) -> tuple[str, ...]:
        """The public names of what has a role, sorted."""
        return tuple(name for name in self.names() if role in self._entries[name].roles)

    def canonical(self, name: str) -> str:
        """The public name of what may be known under another one; an unknown name is its own."""
        if name in self._entries:
            return name
        if name not in self._public:
            self._public[name] = self._find_public(name)
        return self._public[name]

    def _find_public(self, name: str) -> str:
        for prefix, rest in _splits(name):
            public = self._aliases.get(prefix)
            if public is not None:
                return public + rest
        return name

    def entry(self, name: str) -> Entry | None:
        """What is known of a name or alias; a method may be inherited from a class among the bases."""
        if name not in self._resolved:
            self._resolved[name] = self._look_up(self.canonical(name))
        return self._resolved[name]

    def starts_task(self, name: str) -> bool:
        """Whether a function starts a task."""
        entry = self.entry(name)
        return entry is not None and Role.SPAWNS in entry.roles

    def is_telling(self, name: str) -> bool:
        """Whether a function's name says that it gives something back, whatever its code looks like."""
        return name in self.conventions.gives_back

    def waits_for_many(self, name: str) -> bool:
        """Whether a function waits for several tasks that it is given."""
        entry = self.entry(name)
        return entry is not None and (Role.GATHERS in entry.roles or entry.race is RaceKind.LEAVES_RUNNING)

    def is_class(self, name: str) -> bool:
        """Whether this names a known class."""
        entry = self.entry(name)
        return entry is not None and entry.kind == "class"

    def source(self, origin: str) -> SourceKind | None:
        """What kind of source a consuming function or method takes from; a class's holds for its methods."""
        if origin not in self._sources:
            self._sources[origin] = self._find_source(self.canonical(origin))
        return self._sources[origin]

    def _find_source(self, name: str) -> SourceKind | None:
        known = self._entries.get(name)
        if known is not None and known.source is not None:
            return known.source
        classes = (self._entries.get(cls) for cls in self._bases(name.rpartition(".")[0]))
        return next((cls.source for cls in classes if cls is not None and cls.source is not None), None)

    @cached_property
    def forbids_awaits(self) -> bool:
        """Whether objects of any class must not be held across an await."""
        return any(entry.not_across_await for entry in self._entries.values())

    def is_weak(self, cls: str) -> bool:
        """Whether a class of containers holds its elements weakly."""
        entry = self.entry(cls)
        return entry is not None and entry.weak

    def is_collected(self, cls: str) -> bool:
        """Whether the last reference to an object of a class closes it."""
        entry = self.entry(cls)
        return entry is not None and entry.collected

    def overridden(self, bases: Iterable[str], method: str) -> Entry | None:
        """The entry of the method of a library class that a class with these bases overrides."""
        entries = (self.entry(f"{base}.{method}") for base in bases)
        return next((entry for entry in entries if entry is not None), None)

    def facts(self, name: str, call: CallShape) -> Entry | None:
        """What is known of a call: the entry, with the first variant that applies laid over it."""
        entry = self.entry(name)
        if entry is None or not (entry.when or entry.timeout):
            return entry
        key = (name, call)
        if key not in self._shaped:
            self._shaped[key] = self._shape(name, entry, call)
        return self._shaped[key]

    def older_verdicts(
        self, name: str, call: CallShape, versions: Iterable[Version]
    ) -> tuple[tuple[Version, Entry], ...]:
        """The Python versions, in the order given, on which the call behaves otherwise than in `call`."""
        newest = self.facts(name, call)
        if newest is None or all(variant.python is None for variant in newest.when):
            return ()
        shapes = ((version, msgspec.structs.replace(call, python=version)) for version in versions)
        answers = ((version, self.facts(name, shape)) for version, shape in shapes)
        return tuple(
            (version, entry)
            for version, entry in answers
            if entry is not None and _verdict(entry) != _verdict(newest)
        )

    def library_verdicts(
        self, name: str, call: CallShape, supported: SpecifierSet
    ) -> Iterator[tuple[str, Entry]]:
        """The library versions, as a specifier, on which the call behaves otherwise than on the newest.

        Only those that the supported ones begin with, or pass through.
        """
        entry, newest = self.entry(name), self.facts(name, call)
        if entry is None or newest is None:
            return
        told: set[str] = set()
        for version in _turning_points(entry, supported):
            applying = (each for each in entry.when if _applies(each, entry, call, version))
            variant = next(applying, None)
            if variant is None or variant.version is None or variant.version in told:
                continue
            told.add(variant.version)
            varied = _varied(entry, variant)
            if _verdict(varied) != _verdict(newest):
                yield variant.version, varied

    def _look_up(self, name: str) -> Entry | None:
        """The entry of a public name, of the class's bases where the class itself has none."""
        if name in self._entries:
            return self._entries[name]
        owner, _, method = name.rpartition(".")
        for cls in self._bases(owner):
            if f"{cls}.{method}" in self._entries:
                return self._entries[f"{cls}.{method}"]
        return None

    def _bases(self, cls: str) -> Iterator[str]:
        """The class and all it inherits from, nearest first, each once."""
        waiting, seen = [cls], {cls}
        while waiting and len(seen) < MAX_BASES:
            current = waiting.pop(0)
            yield current
            known = self._entries.get(current)
            for base in known.bases if known else ():
                public = self.canonical(base)
                if public not in seen:
                    seen.add(public)
                    waiting.append(public)

    def _shape(self, name: str, entry: Entry, call: CallShape) -> Entry:
        library = dict(call.libraries).get(self.canonical(name).partition(".")[0], NEWEST)
        variants = (variant for variant in entry.when if _applies(variant, entry, call, library))
        variant = next(variants, None)
        return _without_idle_race(entry if variant is None else _varied(entry, variant), call)


def _turning_points(entry: Entry, supported: SpecifierSet) -> list[Version]:
    """The supported versions of a library that its variants, or the support itself, begin or end with."""
    stated = (*supported, *(each for variant in entry.when for each in SpecifierSet(variant.version or "")))
    versions = {Version(each.version) for each in stated if _is_version(each.version)}
    return sorted(version for version in versions if supported.contains(version, prereleases=True))


def _verdict(entry: Entry) -> tuple[object, ...]:
    return entry.cancel, entry.mode, entry.suspends, entry.roles, entry.delivers, entry.note


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A dotted name cut in two at each dot, the longest first part first."""
    end = len(name)
    while end > 0:
        yield name[:end], name[end:]
        end = name.rfind(".", 0, end)


# --------------------------------------------------------------------------- loading


class _Tables(Struct, frozen=True):
    """What several files say together; `origins` tells which file an entry is from, for complaints."""

    entries: dict[str, Entry]
    naming: Naming
    origins: dict[str, str]


def load(tables: Iterable[Path | Table] = (), *, shipped: bool = True) -> Knowledge:
    """The shipped tables with these laid over them, the later over the earlier.

    Raises KnowledgeError with the file, the key and what is wrong there.
    """
    ours = _shipped() if shipped else _Tables({}, Naming(), {})
    theirs = tuple(tables)
    read = _read(ours, theirs) if theirs else ours
    return Knowledge(read.entries, read.naming)


def _shipped() -> _Tables:
    """Our own tables: compiled, where that has been done and no table has changed since."""
    files = resources.knowledge_tables()
    compiled = compiled_tables.read(resources.compiled_knowledge(), compiled_tables.digest(files))
    if compiled is None:
        return _read(_Tables({}, Naming(), {}), files)
    folder = str(resources.rules_folder())
    return _Tables(compiled.entries, compiled.naming, dict.fromkeys(compiled.entries, folder))


def compile_tables() -> Path:
    """Write our own tables in the form that is read faster; where they are now."""
    files = resources.knowledge_tables()
    read = _read(_Tables({}, Naming(), {}), files)
    path = resources.compiled_knowledge()
    path.write_bytes(compiled_tables.written(compiled_tables.digest(files), read.entries, read.naming))
    return path


def _read(below: _Tables, tables: Iterable[Path | Table]) -> _Tables:
    """Lay tables over others, and check that all names in them are known."""
    entries = dict(below.entries)
    origins = dict(below.origins)
    naming = below.naming
    for table in tables:
        file, content = _content(table)
        for name, keys in content.items():
            if name == _CONVENTIONS:
                naming = _added(naming, _read_naming(file, keys))
            else:
                entries[name] = _read_entry(file, name, keys)
                origins[name] = file
    _check_links(origins, entries)
    return _Tables(entries, naming, origins)


_CONVENTIONS = "conventions"
"""The one table of a file that is no entry."""


def _added(naming: Naming, more: Naming) -> Naming:
    """Both tables' conventions."""
    added = msgspec.structs.asdict(more)
    return Naming(**{key: (*texts, *added[key]) for key, texts in msgspec.structs.asdict(naming).items()})


def _content(table: Path | Table) -> tuple[str, Table]:
    if not isinstance(table, Path):
        return "<table>", table
    try:
        return str(table), read_toml(table)
    except OSError as error:
        raise KnowledgeError(str(table), "", f"cannot be read: {error.strerror}") from error
    except Unusable as problem:
        raise KnowledgeError(str(table), "", str(problem)) from problem


def _read_entry(file: str, name: str, keys: object) -> Entry:
    if not isinstance(keys, dict):
        raise KnowledgeError(file, f'"{name}"', f'an entry is a table; write ["{name}"] and its keys below')
    try:
        entry = msgspec.convert(keys, Entry)
    except msgspec.ValidationError as error:
        key, problem = _mistake(keys, inspect.type_info(Entry)) or _wrong_type(error)
        raise KnowledgeError(file, _path(name, key), problem) from error
    for key, problem in _problems(name, entry):
        raise KnowledgeError(file, _path(name, key), problem)
    return entry


def _read_naming(file: str, keys: object) -> Naming:
    try:
        naming = msgspec.convert(keys, Naming)
    except msgspec.ValidationError as error:
        key, problem = _mistake(keys, inspect.type_info(Naming)) or _wrong_type(error)
        raise KnowledgeError(file, f"[{_CONVENTIONS}].{key}", problem) from error
    for key, pattern in _patterns(naming):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            problem = f'"{shortened(pattern)}" is not a regular expression: {error}'
            raise KnowledgeError(file, f"[{_CONVENTIONS}].{key}", problem) from error
        if may_explode(pattern):
            problem = f'"{shortened(pattern)}" may take for ever: repeat no group, and no more than two parts'
            raise KnowledgeError(file, f"[{_CONVENTIONS}].{key}", problem)
    return naming


def _patterns(naming: Naming) -> Iterator[tuple[str, str]]:
    """The regular expressions of a table, each with its key."""
    for key, values in msgspec.to_builtins(naming).items():
        for value in values:
            match value:
                case {"receiver": receiver, "methods": methods}:
                    yield from ((key, pattern) for pattern in (*receiver, *methods))
                case str():
                    yield key, value


def _path(name: str, key: str) -> str:
    shown = f'["{shortened(name)}"]'
    return f"{shown}.{shortened(key)}" if key else shown


# --------------------------------------------------------------------------- mistakes

MAX_TEXT = 200
"""How long names may be that are compared with others for a likely slip."""
MAX_COMPARED = 2_000
MAX_BASES = 500
"""How many classes are looked through for an inherited method."""
MAX_TYPE = 1_000
"""How many characters a type may have: Python's parser is recursive."""

_OPERAND = re.compile(r"self|result(?:\.\d+)?|args|item|body|arg:(?P<arg>\d+|[A-Za-z_]\w*)")
_ARGUMENT_TYPE = re.compile(r"\b(?:(?:awaited:|task:)?arg:\w+|self:\d+)")
_OPERAND_KEYS = (
    "of",
    "into",
    "spawned",
    "calls",
    "plainly",
    "raced",
    "timeout",
    "enters",
    "bound",
    "permits",
    "guards",
    "duration",
)
_DEFAULT_ERROR = Entry().raises
_EXAMPLE_OPERANDS = ("self", "result", "result.0", "args", "item", "body", "arg:0", "arg:name")


def _mistake(value: object, kind: inspect.Type, key: str = "") -> tuple[str, str] | None:
    """The first key or word of a table that has no meaning: the path to it, and what could be meant."""
    match kind, value:
        case inspect.UnionType(types=types), _:
            return next((found for one in types if (found := _mistake(value, one, key))), None)
        case inspect.StructType(fields=fields), dict():
            known = {field.encode_name: field.type for field in fields}
            for name, part in value.items():
                place = f"{key}.{name}" if key else name
                if name not in known:
                    return place, f"unknown key{_nearest(name, known)}"
                if found := _mistake(part, known[name], place):
                    return found
        case inspect.VarTupleType(item_type=item), list():
            parts = (_mistake(part, item, f"{key}[{position}]") for position, part in enumerate(value))
            return next((found for found in parts if found), None)
        case inspect.EnumType(cls=cls), str():
            return _wrong_word(key, value, tuple(str(member.value) for member in cls))
        case inspect.LiteralType(values=values), str():
            return _wrong_word(key, value, tuple(str(one) for one in values))
    return None


def _wrong_word(key: str, word: str, words: tuple[str, ...]) -> tuple[str, str] | None:
    if word in words:
        return None
    return key, f'"{shortened(word)}" is not one of {", ".join(words)}{_nearest(word, words)}'


def _wrong_type(error: msgspec.ValidationError) -> tuple[str, str]:
    """The path and the complaint of a message such as "Expected `bool`, got `str` - at `$.awaitable`"."""
    complaint, _, path = str(error).partition(" - at `$")
    return path.strip(".`"), complaint[:1].lower() + complaint[1:]


def _nearest(word: str, words: Iterable[str]) -> str:
    if len(word) > MAX_TEXT:
        return ""
    near = [each for each in words if len(each) <= MAX_TEXT]
    close = difflib.get_close_matches(word, near[:MAX_COMPARED], n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _problems(name: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """What the types of the keys cannot say: the key, and what is wrong with its value."""
    if max(map(len, (name, *entry.aliases, *entry.bases))) > MAX_TYPE:
        yield "", f"a name has more than {MAX_TYPE} characters"
    if not entry.sources:
        yield "sources", "is missing; name the documentation, source line or experiment behind the entry"
    if (entry.race is None) == (Role.RACES in entry.roles):
        yield "race", 'a race needs both the role "races" and the key race'
    if entry.mode is not None and entry.cancel is Cancel.SAFE:
        yield "mode", 'only what loses has a mode; add cancel = "loses", or drop the mode'
    if entry.mode is None and entry.cancel is Cancel.LOSES:
        yield "mode", f"is missing; say how it loses: {', '.join(Mode)}"
    operands = (
        entry.of,
        entry.into,
        entry.spawned,
        entry.calls,
        entry.plainly,
        entry.raced,
        entry.timeout,
        entry.enters,
        entry.bound,
        entry.permits,
        entry.guards,
        entry.duration,
    )
    for key, operand in zip(_OPERAND_KEYS, operands, strict=True):
        if operand is not None and (problem := _operand_problem(operand, entry.params)):
            yield key, problem
    if entry.returns is not None and not _is_type(entry.returns):
        yield "returns", f'"{shortened(entry.returns)}" is not a type'
    if entry.coroutine and not entry.awaitable:
        yield "coroutine", "only what is awaitable is a coroutine; add awaitable = true"
    if entry.tasks_only is not None and not _is_specifier(entry.tasks_only):
        yield "tasks-only", f'"{shortened(entry.tasks_only)}" is not a version specifier such as ">=3.11"'
    if entry.since is not None and not _is_version(entry.since):
        yield "since", f'"{shortened(entry.since)}" is not a version'
    for position, variant in enumerate(entry.when):
        for key, problem in _variant_problems(variant, entry.params):
            yield f"when[{position}]{key}", problem


def _variant_problems(variant: Variant, params: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    conditions = tuple(_conditions(variant))
    if not conditions and variant.python is None and variant.version is None:
        yield "", "never differs from the entry; give it arg, python or version"
    for condition in conditions:
        if problem := _operand_problem(f"arg:{condition.arg}", params):
            yield ".arg", problem
        if not condition.absent and not condition.equals:
            yield ".arg", f'"{condition.arg}" needs absent = true or equals = [...]'
    for key, specifier in ((".python", variant.python), (".version", variant.version)):
        if specifier is not None and not _is_specifier(specifier):
            yield key, f'"{shortened(specifier)}" is not a version specifier such as ">=3.12"'
    if variant.returns is not None and not _is_type(variant.returns):
        yield ".returns", f'"{shortened(variant.returns)}" is not a type'


def _operand_problem(operand: str, params: tuple[str, ...]) -> str | None:
    found = _OPERAND.fullmatch(operand)
    if found is None:
        return f'"{shortened(operand)}" is not an operand{_nearest(operand, _EXAMPLE_OPERANDS)}'
    name = found["arg"]
    if name is None or name.isdecimal() or name in params:
        return None
    return f'"{shortened(name)}" is not among the params of the entry{_nearest(name, params)}'


def _is_type(text: str) -> bool:
    if len(text) > MAX_TYPE:
        return False
    try:
        ast.parse(_ARGUMENT_TYPE.sub("_", text), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_specifier(text: str) -> bool:
    if len(text) > MAX_TEXT:
        return False
    try:
        SpecifierSet(text)
    except (InvalidSpecifier, ValueError):
        return False
    return True


def _is_version(text: str) -> bool:
    if len(text) > MAX_TEXT:
        return False
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _classes_meant(entry: Entry) -> Iterator[tuple[str, str]]:
    """The classes that an entry speaks of, each with the key that does."""
    yield from (("bases", base) for base in entry.bases)
    if entry.same_as:
        yield "same-as", entry.same_as
    if entry.race is RaceKind.CANCELS_RAISES and entry.raises != _DEFAULT_ERROR:
        yield "raises", entry.raises
    yield from (("swallows", each) for each in entry.swallows if _OPERAND.fullmatch(each) is None)


def _check_links(origins: Mapping[str, str], entries: Mapping[str, Entry]) -> None:
    """Raises KnowledgeError where a class is not known, or where two names mean the same object."""
    classes = tuple(name for name, entry in entries.items() if entry.kind == "class")
    known = frozenset(classes)
    owners: dict[str, str] = {}
    for name, entry in entries.items():
        for key, cls in _classes_meant(entry):
            if cls not in known:
                problem = f'"{shortened(cls)}" is not a known class{_nearest(cls, classes)}'
                raise KnowledgeError(origins[name], _path(name, key), problem)
        for alias in entry.aliases:
            owner = alias if alias in entries else owners.setdefault(alias, name)
            if owner != name:
                problem = f'"{shortened(alias)}" is already the name of "{shortened(owner)}"'
                raise KnowledgeError(origins[name], _path(name, "aliases"), problem)
    for name in entries:
        for prefix, rest in _splits(name):
            if prefix in owners:
                problem = f'is known as "{owners[prefix]}{rest}"; use that name'
                raise KnowledgeError(origins[name], _path(name, ""), problem)
