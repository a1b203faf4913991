"""Which files are read, which of them are reported on, and what their modules are called."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from pathspec import GitIgnoreSpec

from cancellint.bounded import Unusable, read_bytes
from cancellint.frontend.guards import MAX_BYTES
from cancellint.frontend.notebook import SUFFIX as NOTEBOOK
from cancellint.frontend.notebook import Cell, Cells, NoNotebook, read_cells
from cancellint.patterns import MAX_PATTERN, spec_of

PROJECT_MARKERS = ("pyproject.toml", "cancellint.toml", ".git")

CONFIGURATION = ("pyproject.toml", "cancellint.toml")

SUFFIXES = (".py", NOTEBOOK)
STUB = ".pyi"
"""The files that are read are not these: nothing in them runs."""

NEVER_SOURCE = frozenset(
    {
        ".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".mypy_cache", ".nox",
        ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__", "__pypackages__",
        "node_modules", "site-packages",
    }
)  # fmt: skip
"""Folders that hold other people's code or none."""

BUILD_OUTPUT = frozenset({"build", "dist"})
"""Folders that hold copies of the project's code, unless they are packages themselves."""


class Source(Struct, frozen=True):
    """A Python file of the project. `data` is None where it could not be read, and `error` says why.

    So is a folder that cannot be listed, and an ignore file that cannot be used.
    """

    path: Path
    module: str
    """dotted name, unique in the project"""
    is_package: bool
    is_reported: bool
    is_test: bool
    data: bytes | None
    error: str = ""
    cells: tuple[Cell, ...] = ()
    """of a notebook, whose code is the data"""


class Stdin(Struct, frozen=True):
    """A file whose text comes from standard input."""

    path: Path
    data: bytes
    is_alone: bool = False
    """its real place is not known, so there is no project around it"""


def project_root(argument: Path) -> Path:
    """The folder of the nearest project marker at or above the argument, else the argument itself."""
    path = absolute(argument)
    start = path if os.path.isdir(path) else path.parent
    for folder in (start, *start.parents):
        if has_marker(folder):
            return _top_package(path) if _lies_in_excluded(path, folder) else folder
    return path


def has_marker(root: Path) -> bool:
    """Whether something in this folder makes it a project."""
    return any(os.path.exists(root / marker) for marker in PROJECT_MARKERS)


def absolute(path: Path) -> Path:
    """The path from the root of the file system, without `..`, symbolic links kept."""
    return Path(os.path.abspath(path))


Excluded: TypeAlias = Callable[[Path], Sequence[str]]
"""Patterns that a folder inside of the project adds, relative to itself."""


def discover(
    arguments: Sequence[Path],
    exclude: Sequence[str] = (),
    stdin: Stdin | None = None,
    *,
    base: Path | None = None,
    inner: Excluded | None = None,
    force_exclude: bool = False,
    texts: Mapping[Path, bytes] | None = None,
) -> tuple[Source, ...]:
    """Every file of the arguments' projects, ordered by path; those under an argument are reported on.

    Links that lead out of the project, or out of a folder that is an argument, are not followed.
    What `exclude` says is relative to `base`, by default the root of the project.
    With `force_exclude`, exclusions and ignore files count for files that are named as arguments too.
    `texts` stands for what is on the disk, by the path of the source.
    """
    reported = [absolute(argument) for argument in arguments]
    overlay = ({absolute(stdin.path): stdin.data} if stdin else {}) | dict(texts or {})
    is_alone = stdin is not None and stdin.is_alone
    roots = () if is_alone else outermost(project_root(argument) for argument in reported)
    explicit = {path for path in reported if not os.path.isdir(path)}
    folders = tuple(path for path in reported if path not in explicit)
    found: set[Path] = set()
    obstacles: dict[Path, str] = {}
    for folder in (*roots, *folders):
        if os.path.isdir(folder):
            is_base = base is not None and folder in roots and folder.is_relative_to(base)
            own = base if base is not None and is_base else folder
            for each in _walk(folder, _Excluding(exclude, own, inner)):
                match each:
                    case Obstacle(path, error):
                        obstacles[path] = error
                    case path:
                        found.add(path)
    if force_exclude:
        explicit = {path for path in explicit if path in found or path.suffix not in SUFFIXES}
    found.update(path for path in explicit if path.suffix != STUB)
    found = {path for path in found if path.suffix != NOTEBOOK or _is_under(path, reported)}
    contents = {path: _content(path, overlay.get(path)) for path in sorted(found)}
    names = module_names(tuple(contents), roots, imported_names([each.data for each in contents.values()]))

    def source(path: Path, module: str, content: _Content) -> Source:
        return Source(
            path=path,
            module=module,
            is_package=path.stem == "__init__",
            is_reported=path in explicit or _is_under(path, folders),
            is_test=_is_test(path, roots),
            data=content.data,
            error=content.error,
            cells=content.cells,
        )

    files = [source(path, names[path], content) for path, content in contents.items()]
    unusable = [source(path, f"<{path}>", _Content(None, error)) for path, error in obstacles.items()]
    return tuple(sorted((*files, *unusable), key=lambda each: each.path))


def _is_under(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def covers_any(argument: Path, sources: Iterable[Source]) -> bool:
    """Whether any file that is reported on is the argument or lies under it."""
    path = absolute(argument)
    return any(source.is_reported and source.path.is_relative_to(path) for source in sources)


_IMPORTED = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)

MAX_NAMESPACE = 3
"""How many folders may stand before the outermost package in its name."""

SAMPLE = 400
"""How many files are asked what they import: enough to tell what the project calls its packages."""


def imported_names(contents: Sequence[bytes | None]) -> Mapping[str, int]:
    """In how many of the files, or of a sample of them, each dotted name or a name inside it is imported."""
    counts: Counter[str] = Counter()
    for data in contents[:: max(1, len(contents) // SAMPLE)]:
        names: set[str] = set()
        for name in set(_IMPORTED.findall(data or b"")):
            parts = name.decode("utf-8", "replace").split(".")
            names.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
        counts.update(names)
    return counts


def module_names(
    paths: Sequence[Path], roots: Sequence[Path], imported: Mapping[str, int]
) -> dict[Path, str]:
    """A dotted name for each file.

    A package is named from its outermost folder with an `__init__.py`, together with the folders above
    where the project's imports do so (namespace packages); anything else by its path in the project,
    `src` left out. Where two folders hold packages of one name, the second one's files
    are named by their path, so that each package stays whole.
    """
    names: dict[Path, str] = {}
    owners: dict[str, Path] = {}
    used: set[str] = set()
    packages = {path.parent for path in paths if path.stem == "__init__"}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        folder = path.parent
        while folder in packages:
            folder = folder.parent
        in_project = _path_in_project(path, roots)
        parts, top = in_project, in_project[0]
        if folder != path.parent:
            parts = path.relative_to(folder).parts
            namespace = _namespace(folder, parts[0], imported)
            parts, top = (*namespace, *parts), ".".join((*namespace, parts[0]))
        if owners.setdefault(top, folder) != folder:
            parts = in_project
        if parts[-1] == "__init__.py" and len(parts) > 1:
            parts = parts[:-1]
        name = ".".join(parts).removesuffix(".py")
        while name in used:
            name += "_"
        used.add(name)
        names[path] = name
    return names


def _namespace(folder: Path, package: str, imported: Mapping[str, int]) -> tuple[str, ...]:
    """The folders above an outermost package that imports name before it."""
    best: tuple[str, ...] = ()
    votes = imported.get(package, 0)
    outer: tuple[str, ...] = ()
    for above in (folder, *folder.parents)[:MAX_NAMESPACE]:
        outer = (above.name, *outer)
        stated = imported.get(".".join((*outer, package)), 0)
        if stated > votes:
            best, votes = outer, stated
    return best


def _path_in_project(path: Path, roots: Sequence[Path]) -> tuple[str, ...]:
    """The parts of the path below its project's root, without a leading `src`."""
    for root in roots:
        if path != root and path.is_relative_to(root):
            parts = path.relative_to(root).parts
            return parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    return (path.name,)


def _is_test(path: Path, roots: Sequence[Path]) -> bool:
    parts = _path_in_project(path, roots)
    name = parts[-1]
    return (
        name == "conftest.py"
        or name.endswith(NOTEBOOK)
        or name.startswith("test_")
        or name.endswith("_test.py")
        or not {"test", "tests"}.isdisjoint(parts[:-1])
    )


class _Content(NamedTuple):
    """The code of a file, or why there is none."""

    data: bytes | None
    error: str = ""
    cells: tuple[Cell, ...] = ()


def _content(path: Path, text: bytes | None) -> _Content:
    """What stands in a file, or in the text that stands for it."""
    data, error = _read(path) if text is None else (text, "")
    if data is None or path.suffix != NOTEBOOK:
        return _Content(data, error)
    match read_cells(data):
        case NoNotebook(reason):
            return _Content(None, f"this notebook is not checked: {reason}")
        case Cells(code, cells):
            return _Content(code, "", cells)


def _read(path: Path) -> tuple[bytes | None, str]:
    """The bytes, or why there are none. Pipes and devices may never end, and what is huge is not parsed."""
    if path == Path(os.devnull):
        return b"", ""
    try:
        return read_bytes(path, MAX_BYTES), ""
    except Unusable as problem:
        return None, f"this file cannot be read: {problem}"
    except OSError as error:
        return None, f"this file cannot be read: {error.strerror or error}"


def outermost(roots: Iterable[Path]) -> tuple[Path, ...]:
    """Those that lie in no other one."""
    ordered = sorted(set(roots), key=lambda root: (len(root.parts), root))
    kept: list[Path] = []
    for root in ordered:
        if not any(root.is_relative_to(other) and not _lies_in_excluded(root, other) for other in kept):
            kept.append(root)
    return tuple(kept)


def _top_package(path: Path) -> Path:
    """The outermost package around the path, or the path itself."""
    top = path
    while os.path.isfile(top.parent / "__init__.py"):
        top = top.parent
    return top


def _lies_in_excluded(path: Path, root: Path) -> bool:
    folder = path if os.path.isdir(path) else path.parent
    while folder != root and folder.is_relative_to(root):
        if _is_excluded(folder):
            return True
        folder = folder.parent
    return False


def _is_excluded(folder: Path) -> bool:
    name = folder.name
    if name in NEVER_SOURCE or name.endswith(".egg-info"):
        return True
    if name in BUILD_OUTPUT and not os.path.exists(folder / "__init__.py"):
        return True
    return os.path.exists(folder / "pyvenv.cfg")


class _Rules(Struct, frozen=True):
    """Patterns of one ignore file, relative to its folder; the innermost file that says anything decides."""

    folder: str
    spec: GitIgnoreSpec
    outer: "_Rules | None"

    def ignores(self, path: str, is_folder: bool) -> bool:
        rules: _Rules | None = self
        while rules is not None:
            relative = os.path.relpath(path, rules.folder).replace(os.sep, "/")
            verdict = rules.spec.check_file(relative + "/" if is_folder else relative).include
            if verdict is not None:
                return verdict
            rules = rules.outer
        return False


class _Excluding(NamedTuple):
    """What the configuration leaves out."""

    patterns: Sequence[str]
    base: Path
    inner: Excluded | None

    def added_in(self, folder: str, outer: _Rules | None) -> _Rules | None:
        """The rules with what a folder inside of the project adds."""
        patterns = self.inner(Path(folder)) if self.inner is not None else ()
        return _Rules(folder, spec_of(patterns), outer) if patterns else outer


def _project_rules(folder: Path, excluding: _Excluding) -> _Rules | None:
    """The ignore files above the folder up to its repository's root, then the configured exclusions."""
    chain: list[Path] = []
    for above in (folder, *folder.parents):
        chain.append(above)
        if os.path.exists(above / ".git"):
            break
    else:
        chain = []
    rules: _Rules | None = None
    for above in reversed(chain[1:]):
        rules, _ = _with_ignore_file(str(above), rules)
    if excluding.patterns:
        rules = _Rules(str(excluding.base), spec_of(excluding.patterns), rules)
    return rules


MAX_IGNORE_BYTES = 1_000_000
MAX_IGNORE_LINES = 5_000
"""How long an ignore file may be: each of its patterns is compared with each path."""


class Obstacle(NamedTuple):
    """What kept part of a project from being read."""

    path: Path
    error: str


def _with_ignore_file(folder: str, outer: _Rules | None) -> tuple[_Rules | None, Obstacle | None]:
    """The patterns that hold in a folder, and what is wrong with its ignore file."""
    file = Path(folder, ".gitignore")
    try:
        lines = read_bytes(file, MAX_IGNORE_BYTES).decode("utf-8", "replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return outer, None
    except Unusable as problem:
        return outer, Obstacle(file, f"this ignore file is not used: {problem}")
    except OSError as error:
        if not os.path.lexists(file):  # the folder may not be entered, which is told of itself
            return outer, None
        return outer, Obstacle(file, f"this ignore file is not used: {error.strerror or error}")
    if len(lines) > MAX_IGNORE_LINES:
        return outer, Obstacle(
            file, f"this ignore file is not used: it has more than {MAX_IGNORE_LINES:,} lines"
        )
    rules = _Rules(folder, spec_of(lines), outer)
    if any(len(line) > MAX_PATTERN and not line.startswith("#") for line in lines):
        return rules, Obstacle(
            file, f"a pattern of this ignore file is not used: it has more than {MAX_PATTERN:,} characters"
        )
    return rules, None


def _walk(root: Path, excluding: _Excluding) -> Iterator[Path | Obstacle]:
    """The Python files below a folder. Each real folder is visited once, so links cannot lead in circles.

    Links are followed last: a folder that can be reached both ways keeps its own name. Those that lead out
    of the project and of the folder are not followed.
    """
    inside = tuple(os.path.realpath(each) for each in (project_root(root), root))
    seen: set[str] = set()
    stack: list[tuple[str, _Rules | None]] = [(str(root), _project_rules(root, excluding))]
    links: list[tuple[str, _Rules | None]] = []
    while stack or links:
        folder, outer = stack.pop() if stack else links.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        inner, obstacle = _with_ignore_file(folder, outer)
        if obstacle is not None:
            yield obstacle
        entries = _entries(folder)
        if isinstance(entries, Obstacle):
            yield entries
            continue
        if any(entry.name in CONFIGURATION for entry in entries):
            inner = excluding.added_in(folder, inner)
        for entry in entries:
            is_link = entry.is_symlink()
            if is_link and not _leads_inside(entry.path, inside):
                continue
            if _is_folder(entry):
                if not _is_excluded(Path(entry.path)) and not (inner and inner.ignores(entry.path, True)):
                    (links if is_link else stack).append((entry.path, inner))
            elif (
                entry.name.endswith(SUFFIXES)
                and _is_own_file(entry)
                and not (inner and inner.ignores(entry.path, False))
            ):
                yield Path(entry.path)


def _leads_inside(link: str, folders: Iterable[str]) -> bool:
    real = Path(os.path.realpath(link))
    return any(real.is_relative_to(folder) for folder in folders)


def _entries(folder: str) -> list[os.DirEntry[str]] | Obstacle:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        return Obstacle(Path(folder), f"this folder cannot be read: {error.strerror or error}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_own_file(entry: os.DirEntry[str]) -> bool:
    """A regular file, or one that only its owner may look at; not a pipe, a device or a broken link."""
    try:
        return entry.is_file()
    except OSError:
        return False


def shown_path(path: Path) -> str:
    """The path as users see it, with forward slashes."""
    try:
        shown = os.path.relpath(path)
    except ValueError:  # another drive
        shown = str(path)
    return str(PurePosixPath(*Path(shown).parts))
