"""`[tool.cancellint]` in `pyproject.toml`, or `cancellint.toml`, as a frozen `Config`."""

import difflib
import enum
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from cancellint.bounded import MAX_TOML_BYTES, MAX_WORD, Unusable, read_bytes, read_toml
from cancellint.mistakes import Mistake
from cancellint.model.finding import Confidence, Severity
from cancellint.patterns import is_pattern
from cancellint.printable import shortened

NEWEST_PYTHON = Version("3.14")
KNOWN_PYTHONS = tuple(Version(f"3.{minor}") for minor in range(7, NEWEST_PYTHON.minor + 1))


class ConfigError(Mistake):
    """A configuration file says something that has no meaning; the message names file, key and a way out."""


class AssumeRaced(enum.StrEnum):
    """Whom the analysis takes to be raced by callers it cannot see."""

    NONE = "none"
    PUBLIC = "public"
    """every public coroutine"""


class Profile(enum.StrEnum):
    DEFAULT = "default"
    PEDANTIC = "pedantic"
    """pedantic rules and possible findings too"""


class Config(Struct, frozen=True, kw_only=True):
    """What a run is asked to do. Empty `select` means the rules that are on by default."""

    root: Path
    """the folder that the exclusions are relative to"""
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    """added to the rules that `select` or the default chooses"""
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """patterns as in .gitignore, and what is not shown in files that match"""
    severity: tuple[tuple[str, Severity], ...] = ()
    """of codes, prefixes and names that are not to have their own"""
    exclude: tuple[str, ...] = ()
    target_version: Version = NEWEST_PYTHON
    """the newest Python that the checked project supports"""
    older_versions: tuple[Version, ...] = ()
    """older ones that it says it supports, oldest first"""
    libraries: tuple[tuple[str, SpecifierSet], ...] = ()
    """what it depends on, by import name, with the versions it says it supports"""
    knowledge: tuple[Path, ...] = ()
    assume_raced: AssumeRaced = AssumeRaced.NONE
    dropped_task_underscore: bool = False
    """report a task that is bound to `_` as dropped"""
    cancel_safe_decorators: tuple[str, ...] = ()
    """dotted names of decorators that declare a function cancel-safe, beside that of `cancellint.markers`"""
    min_confidence: Confidence | None = None
    profile: Profile = Profile.DEFAULT
    unsafe_fixes: bool = False
    """make fixes too that change what the program does beyond the finding"""
    noqa_aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """codes of other tools that count in `noqa` comments, and which rules they silence"""
    baseline: Path | None = None
    """findings that are known and not told"""
    own_rules: tuple[Path, ...] = ()
    """folders with rules of the project's own"""
    runs_own_rules: bool = False
    """whether whoever runs the tool consents to running them: no file can say so"""

    @property
    def weakest_shown(self) -> Confidence:
        """The weakest confidence that is reported."""
        if self.min_confidence is not None:
            return self.min_confidence
        return Confidence.POSSIBLE if self.profile is Profile.PEDANTIC else Confidence.LIKELY


def load(root: Path) -> Config:
    """The configuration of the project in this folder; all defaults where there is none."""
    return read_settings(root).config


DEFAULT = "default"


def origins(root: Path) -> Mapping[str, str]:
    """Where the value of each setting of the project in this folder comes from: a file, or the default."""
    return read_settings(root).origins()


class Settings(Struct, frozen=True):
    """A configuration, and which file says what of it."""

    config: Config
    file: Path | None = None
    """what was read first; others that it extends come after it"""
    said: Mapping[str, tuple[Path, str]] = {}
    """file, and the setting as it is called there, of all that is no default"""
    has_python: bool = False
    """whether the project's own `requires-python` decides about the target version"""

    def origins(self) -> Mapping[str, str]:
        """Where the value of each setting comes from: a file, or the default."""
        found = {key: self._shown(self.said[key][0]) if key in self.said else DEFAULT for key in KEYS}
        if self.has_python and found["target-version"] == DEFAULT:
            found["target-version"] = "requires-python in pyproject.toml"
        return found

    def _shown(self, file: Path) -> str:
        return os.path.relpath(file, self.config.root).replace(os.sep, "/")


def read_settings(root: Path, file: Path | None = None) -> Settings:
    """The settings of the project in this folder, from its own files, or from this one alone.

    A project without any has those of the nearest folder above it in the same repository.
    """
    folder = root if root.is_dir() else root.parent
    project = _read(folder / "pyproject.toml")
    table, base = _stated(file, folder), folder
    if table is None:
        table, base = _nearest_table(folder)
    if table is None:
        table = _Table(folder / "pyproject.toml", TOOL, {})
    return _settings(table, base, project)


def isolated(root: Path) -> Settings:
    """The defaults, whatever the files of the project say."""
    return Settings(Config(root=root if root.is_dir() else root.parent))


def own_settings(folder: Path) -> Settings | None:
    """What a folder inside of a project says about itself, if it does."""
    table = _table(folder, is_inside=True)
    return None if table is None else _settings(table, folder, _read_if_usable(folder / "pyproject.toml"))


def _settings(table: "_Table", root: Path, project: Mapping[str, object]) -> Settings:
    said = {key: (owner.file, owner.prefix + key) for key in KEYS if (owner := table.owner(key)) is not None}
    has_python = "requires-python" in _mapping(project.get("project"))
    return Settings(_config(table, root, project), table.file, said, has_python)


def _nearest_table(folder: Path) -> "tuple[_Table | None, Path]":
    """The settings that hold in a folder, and the folder that says so."""
    repository = _repository(folder)
    for each in (folder, *folder.parents) if repository else (folder,):
        table = _table(each, is_inside=each != folder)
        if table is not None:
            return table, each
        if each == repository:
            break
    return None, folder


def _repository(folder: Path) -> Path | None:
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each / ".git")), None)


Value: TypeAlias = str | bool | tuple[str, ...] | Mapping[str, "Value"]


def values(config: Config) -> Mapping[str, Value]:
    """The value of each setting, as a configuration file would say it."""
    return {
        "select": config.select,
        "extend-select": config.extend_select,
        "ignore": config.ignore,
        "per-file-ignores": dict(config.per_file_ignores),
        "severity": {word: severity.value for word, severity in config.severity},
        "exclude": config.exclude,
        "target-version": str(config.target_version),
        "knowledge": tuple(_relative(path, config.root) for path in config.knowledge),
        "assume-raced": config.assume_raced.value,
        "dropped-task-underscore": config.dropped_task_underscore,
        "cancel-safe-decorators": config.cancel_safe_decorators,
        "min-confidence": config.weakest_shown.value,
        "profile": config.profile.value,
        "unsafe-fixes": config.unsafe_fixes,
        "noqa-aliases": dict(config.noqa_aliases),
        "baseline": _relative(config.baseline, config.root) if config.baseline is not None else "",
        "own-rules": tuple(_relative(path, config.root) for path in config.own_rules),
    }


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


TOOL = "tool.cancellint."


def _table(folder: Path, *, is_inside: bool) -> "_Table | None":
    """The settings of `cancellint.toml`, or where there is none, those in `pyproject.toml`.

    Of folders inside of a project and above it, files that do not concern us are left alone.
    """
    own, shared = folder / "cancellint.toml", folder / "pyproject.toml"
    if os.path.lexists(own):
        return _extended(_Table(own, "", _read(own)))
    tool = _mapping((_read_if_usable(shared) if is_inside else _read(shared)).get("tool"))
    return _extended(_tool_table(shared, tool)) if "cancellint" in tool else None


def _tool_table(file: Path, tool: Mapping[str, object]) -> "_Table":
    if not isinstance(tool.get("cancellint"), dict):
        raise ConfigError(f"{file}: `tool.cancellint` must be a table")
    return _Table(file, TOOL, _mapping(tool["cancellint"]))


def _stated(file: Path | None, folder: Path) -> "_Table | None":
    """The settings of the file that was named instead of the project's own."""
    return None if file is None else _extended(_any_table(Path(os.path.abspath(file)), folder / file))


def _any_table(file: Path, named: Path) -> "_Table":
    """The settings of a file of any name: those of `[tool.cancellint]` in a `pyproject.toml`."""
    if not os.path.lexists(file):
        raise ConfigError(f"{named}: there is no such file")
    values = _read(file)
    if file.name != "pyproject.toml":
        return _Table(file, "", values)
    return _tool_table(file, {"cancellint": {}, **_mapping(values.get("tool"))})


EXTEND = "extend"
MAX_EXTENDED = 20
"""How many files may extend one another."""


def _extended(table: "_Table") -> "_Table":
    """The settings of a file over those of the files that it extends."""
    chain = [table]
    while (name := chain[-1].text(EXTEND)) is not None:
        last = chain[-1]
        file = _extended_file(last, name)
        if any(each.file == file for each in chain):
            raise last.error(EXTEND, f"names {_shown(name)}, which extends this file itself")
        if len(chain) == MAX_EXTENDED:
            raise last.error(EXTEND, f"is the end of a chain of more than {MAX_EXTENDED} files")
        chain.append(_any_table(file, file))
    base: _Table | None = None
    for each in reversed(chain):
        base = _Table(each.file, each.prefix, each.values, base)
    return base or table


def _extended_file(table: "_Table", name: str) -> Path:
    """The file that a setting `extend` names, in the repository of the file that says so, if it is in one."""
    if "\0" in name or not name.endswith(".toml"):
        raise table.error(EXTEND, f"names {_shown(name)}, which is no file `….toml`")
    file = Path(os.path.abspath(table.file.parent / name))
    if not os.path.lexists(file):
        raise table.error(EXTEND, f"names {_shown(name)}, and there is no file {file}")
    repository = _repository(table.file.parent)
    if repository and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(repository)):
        raise table.error(EXTEND, f"names {_shown(name)}, which lies outside of {repository}")
    return file


def _read_if_usable(file: Path) -> Mapping[str, object]:
    """A file that may be about something else: read only if it can concern us."""
    try:
        data = read_bytes(file, MAX_TOML_BYTES)
    except (OSError, Unusable):
        return {}
    return _read(file) if b"cancellint" in data else {}


KEYS = (
    "select",
    "extend-select",
    "ignore",
    "per-file-ignores",
    "severity",
    "exclude",
    "target-version",
    "knowledge",
    "assume-raced",
    "dropped-task-underscore",
    "cancel-safe-decorators",
    "min-confidence",
    "profile",
    "unsafe-fixes",
    "noqa-aliases",
    "baseline",
    "own-rules",
)


class _Table(Struct, frozen=True):
    """The settings of one file, with what error messages need, over those of the file that it extends."""

    file: Path
    prefix: str
    values: Mapping[str, object]
    base: "_Table | None" = None

    def owner(self, key: str) -> "_Table | None":
        """The first file that says something about a key."""
        if key in self.values:
            return self
        return None if self.base is None else self.base.owner(key)

    def value(self, key: str) -> object:
        """What is said about a key, or None."""
        owner = self.owner(key)
        return None if owner is None else owner.values[key]

    def error(self, key: str, problem: str) -> ConfigError:
        owner = self.owner(key) or self
        return ConfigError(f"{owner.file}: `{owner.prefix}{shortened(key)}` {problem}")

    def strings(self, key: str) -> tuple[str, ...]:
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"must be a list of strings, not {_shown(value)}")
        return tuple(item for item in value if isinstance(item, str))

    def inner(self, key: str) -> "_Table":
        """The table that is the value of a key; empty where there is none."""
        owner = self.owner(key) or self
        value = owner.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"must be a table, not {_shown(value)}")
        return _Table(owner.file, f"{owner.prefix}{key}.", _mapping(value))

    def text(self, key: str) -> str | None:
        value = self.value(key)
        if value is None or isinstance(value, str):
            return value
        raise self.error(key, f"must be a string, not {_shown(value)}")

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if value is None:
            return False
        if isinstance(value, bool):
            return value
        raise self.error(key, f"must be true or false, not {_shown(value)}")


def _config(table: _Table, root: Path, project: Mapping[str, object]) -> Config:
    _look_for_unknown_keys(table)
    supported = _supported(_mapping(project.get("project")).get("requires-python"))
    target = _target(table) or max(supported, default=NEWEST_PYTHON)
    return Config(
        root=root,
        select=table.strings("select"),
        extend_select=table.strings("extend-select"),
        ignore=table.strings("ignore"),
        per_file_ignores=_per_file_ignores(table),
        severity=_severities(table),
        exclude=_patterns(table, "exclude"),
        target_version=target,
        older_versions=tuple(version for version in supported if version < target),
        libraries=tuple(_dependencies(_mapping(project.get("project")))),
        knowledge=_knowledge_files(table),
        assume_raced=_choice(table, "assume-raced", AssumeRaced, AssumeRaced.NONE) or AssumeRaced.NONE,
        dropped_task_underscore=table.flag("dropped-task-underscore"),
        cancel_safe_decorators=_dotted_names(table, "cancel-safe-decorators"),
        min_confidence=_choice(table, "min-confidence", Confidence, None),
        profile=_choice(table, "profile", Profile, Profile.DEFAULT) or Profile.DEFAULT,
        unsafe_fixes=table.flag("unsafe-fixes"),
        noqa_aliases=_noqa_aliases(table),
        baseline=_baseline(table),
        own_rules=_own_rules(table),
    )


def _look_for_unknown_keys(table: _Table) -> None:
    for key in table.values:
        if key not in (*KEYS, EXTEND):
            raise table.error(key, f"is not a setting{nearest(key, (*KEYS, EXTEND))}")
    if table.base is not None:
        _look_for_unknown_keys(table.base)


_FOREIGN_CODE = re.compile(r"[A-Z]+[0-9]+", re.IGNORECASE)


def _noqa_aliases(table: _Table) -> tuple[tuple[str, tuple[str, ...]], ...]:
    inner = table.inner("noqa-aliases")
    for code in inner.values:
        if not _FOREIGN_CODE.fullmatch(code) or code.upper().startswith("CAN"):
            raise table.error("noqa-aliases", f"has {_shown(code)}, which is no code of another tool")
    return tuple((code, inner.strings(code)) for code in inner.values)


def _baseline(table: _Table) -> Path | None:
    """The baseline that is named, in the repository of the file that names it; "" is none."""
    name = table.text("baseline")
    if not name:
        return None
    folder = (table.owner("baseline") or table).file.parent
    file, repository = folder / name, _repository(folder) or folder
    if "\0" in name or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(repository)):
        raise table.error("baseline", f"names {_shown(name)}, which lies outside of {repository}")
    return file


MAX_RULE_FOLDERS = 20
"""How many folders of its own rules a project may have."""


def _own_rules(table: _Table) -> tuple[Path, ...]:
    """The folders of rules that are named, in the repository of the file that names them."""
    names = tuple(dict.fromkeys(table.strings("own-rules")))
    if len(names) > MAX_RULE_FOLDERS:
        raise table.error("own-rules", f"names more than {MAX_RULE_FOLDERS} folders")
    folder = (table.owner("own-rules") or table).file.parent
    repository = _repository(folder) or folder
    for name in names:
        if "\0" in name or not os.path.isdir(folder / name):
            raise table.error("own-rules", f"names {_shown(name)}, and there is no such folder")
        if not Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(repository)):
            raise table.error("own-rules", f"names {_shown(name)}, which lies outside of {repository}")
    return tuple(folder / name for name in names)


MAX_PATTERNS = 1_000
"""How many patterns a setting may have: each is compared with each path."""


def _patterns(table: _Table, key: str) -> tuple[str, ...]:
    patterns = table.strings(key)
    if len(patterns) > MAX_PATTERNS:
        raise table.error(key, f"has more than {MAX_PATTERNS} patterns")
    for pattern in patterns:
        if not is_pattern(pattern):
            raise table.error(key, f"has {_shown(pattern)}, which is no pattern as in .gitignore")
    return patterns


def _dotted_names(table: _Table, key: str) -> tuple[str, ...]:
    names = table.strings(key)
    for name in names:
        if "." not in name or not all(part.isidentifier() for part in name.split(".")):
            example = '"package.module.name"'
            raise table.error(key, f"has {_shown(name)}, which is no dotted name such as {example}")
    return names


def _per_file_ignores(table: _Table) -> tuple[tuple[str, tuple[str, ...]], ...]:
    inner = table.inner("per-file-ignores")
    if len(inner.values) > MAX_PATTERNS:
        raise table.error("per-file-ignores", f"has more than {MAX_PATTERNS} patterns")
    for pattern in inner.values:
        if not is_pattern(pattern):
            raise table.error(
                "per-file-ignores", f"has {_shown(pattern)}, which is no pattern as in .gitignore"
            )
    return tuple((pattern, inner.strings(pattern)) for pattern in inner.values)


def _severities(table: _Table) -> tuple[tuple[str, Severity], ...]:
    inner = table.inner("severity")
    chosen = ((word, _choice(inner, word, Severity, None)) for word in inner.values)
    return tuple((word, severity) for word, severity in chosen if severity is not None)


_E = TypeVar("_E", bound=enum.StrEnum)


def _choice(table: _Table, key: str, kind: type[_E], default: _E | None) -> _E | None:
    value = table.text(key)
    if value is None:
        return default
    try:
        return kind(value)
    except ValueError:
        names = [member.value for member in kind]
        raise table.error(
            key, f"must be one of {', '.join(names)}, not {_shown(value)}{nearest(value, names)}"
        ) from None


def _target(table: _Table) -> Version | None:
    """The newest Python that the project supports, where the configuration says so."""
    stated = table.text("target-version")
    if stated is None:
        return None
    try:
        version = Version(stated[:MAX_WORD])
    except InvalidVersion:
        raise table.error(
            "target-version", f'must be a version such as "3.12", not {_shown(stated)}'
        ) from None
    if version not in KNOWN_PYTHONS:
        names = [str(known) for known in KNOWN_PYTHONS]
        raise table.error(
            "target-version",
            f"must be one of {', '.join(names)}, not {_shown(stated)}{nearest(stated, names)}",
        )
    return version


MAX_REQUIREMENT = 2_000
"""How many characters a requirement may have to be looked at."""


def _supported(requires: object) -> tuple[Version, ...]:
    """The Pythons that `requires-python` admits; a value that makes no sense is its owner's affair."""
    if not isinstance(requires, str) or len(requires) > MAX_REQUIREMENT:
        return ()
    try:
        specifiers = SpecifierSet(requires)
    except (InvalidSpecifier, ValueError):
        return ()
    return tuple(specifiers.filter(KNOWN_PYTHONS))


def _dependencies(project: Mapping[str, object]) -> Iterator[tuple[str, SpecifierSet]]:
    """What a project depends on, where it says from which version on; nonsense is its owner's affair."""
    lists = (project.get("dependencies"), *_mapping(project.get("optional-dependencies")).values())
    for line in (line for lines in lists if isinstance(lines, list) for line in lines):
        if not isinstance(line, str) or len(line) > MAX_REQUIREMENT:
            continue
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, ValueError, RecursionError):
            continue
        if requirement.specifier:
            yield requirement.name.lower().replace("-", "_"), requirement.specifier


MAX_TABLES = 100
"""How many library tables a project may have."""


def _knowledge_files(table: _Table) -> tuple[Path, ...]:
    names = tuple(dict.fromkeys(table.strings("knowledge")))
    if len(names) > MAX_TABLES:
        raise table.error("knowledge", f"names more than {MAX_TABLES} files")
    folder = (table.owner("knowledge") or table).file.parent
    repository = _repository(folder) or folder
    return tuple(_knowledge_file(table, folder, repository, name) for name in names)


def _knowledge_file(table: _Table, root: Path, repository: Path, name: str) -> Path:
    path = root / name
    if "\0" in name or not os.path.lexists(path):
        raise table.error("knowledge", f"names {_shown(name)}, and there is no file {path}")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(repository)):
        raise table.error("knowledge", f"names {_shown(name)}, which lies outside of {repository}")
    return path


def _read(file: Path) -> Mapping[str, object]:
    try:
        return read_toml(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except Unusable as problem:
        raise ConfigError(f"{file}: {problem}") from None


def _mapping(value: object) -> Mapping[str, object]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _shown(value: object) -> str:
    """A value in a message: whole only where it is short."""
    match value:
        case str():
            return f'"{shortened(value)}"'
        case dict():
            return "a table"
        case list() if value and len(repr(value[:5])) > MAX_WORD:
            return "a longer list"
        case _:
            return shortened(repr(value))


def nearest(word: str, known: Iterable[str]) -> str:
    """A question to append to an error message, or nothing where no known word is near."""
    if len(word) > MAX_WORD:
        return ""
    folded = {name.casefold(): name for name in known if len(name) <= MAX_WORD}
    close = difflib.get_close_matches(word.casefold(), folded, n=max(1, len(folded)), cutoff=0.5)

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, name, word.casefold()).ratio()

    best = max((name for name in folded if name in close), key=likeness, default=None)  # the first of equals
    return f"; did you mean `{folded[best]}`?" if best is not None else ""
