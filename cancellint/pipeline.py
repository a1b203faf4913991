"""The whole run: bytes, trees, representation, summaries, rules, findings, places, suppressions, report."""

import gc
import traceback
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from pathlib import Path

import msgspec
from msgspec import Struct

from cancellint.analysis.explain.descriptions import Description
from cancellint.analysis.library import knowledge
from cancellint.analysis.normal.form import FormsKept
from cancellint.analysis.program.program import Program
from cancellint.analysis.project import AnalysisSettings, Project, analyse
from cancellint.beliefs import is_named, sites_of, summary_of
from cancellint.cache import Store
from cancellint.collector import collector_off, give_back_freed
from cancellint.config import AssumeRaced, Config
from cancellint.drafts import (
    Draft,
    by_cell,
    draft,
    finish,
    fixes_by_module,
    group_by_module,
    in_order,
    one_per_cause,
    refused,
    sites_by_module,
    told_by_cell,
)
from cancellint.frontend.discover import Source, Stdin, covers_any, discover, shown_path
from cancellint.frontend.guards import Refusal
from cancellint.frontend.read import Reading, read_module, unreadable, worth_reading
from cancellint.frontend.suppress import NO_COMMENTS, Aliases, Comments, without_bare_rules
from cancellint.held import Held, LookedUp
from cancellint.kept import Kept, NothingKept
from cancellint.model import ir
from cancellint.model.finding import Finding, Fix
from cancellint.model.report import Failure, Report, SymbolSummary
from cancellint.model.source import Place, Site
from cancellint.model.types import FunctionKey
from cancellint.own_rules import described, loaded
from cancellint.recall import read_keys
from cancellint.rules.rule import Subject, all_rules, findings, without_copies
from cancellint.selection import UNREADABLE, Choices, Listed, catalogue
from cancellint.stopwatch import Stopwatch
from cancellint.suppressions import Commented, invalid, silence, unused
from cancellint.workers import Died, NotStarted, map_in_processes

Progress = Callable[[int, int], None]
"""Told how many files have been read, of how many."""


def run(
    config: Config,
    paths: Sequence[Path],
    *,
    jobs: int = 1,
    stdin: Stdin | None = None,
    progress: Progress | None = None,
    force_exclude: bool = False,
) -> Report:
    """Reads the projects of these paths and reports on the paths. Raises UnknownRule and KnowledgeError."""
    request = Request(config, tuple(paths), jobs, stdin, progress, force_exclude)
    return examine(request).report


def _nothing_else(_folder: Path) -> Config | None:
    return None


def _go_on() -> None:
    """Nobody wants a run to end early."""


class Request(Struct, frozen=True):
    """What is to be checked, and how."""

    config: Config
    paths: tuple[Path, ...]
    jobs: int = 1
    stdin: Stdin | None = None
    progress: Progress | None = None
    force_exclude: bool = False
    own: Callable[[Path], Config | None] = _nothing_else
    """what folders inside of the project say about themselves"""
    with_edits: bool = False
    """whether the edits of fixes are part of the findings"""
    store: Store | None = None
    """where what files are read as is kept from run to run"""
    sources: tuple[Source, ...] | None = None
    """the files as they are on the disk, if they have been read already"""
    held: Held | None = None
    """what earlier runs of this process over the same project have left"""
    checkpoint: Callable[[], None] = _go_on
    """called again and again; what it raises ends the run, if that is no Exception"""

    def excluded(self, folder: Path) -> Sequence[str]:
        """What a folder inside of the project leaves out of itself."""
        config = self.own(folder)
        return () if config is None else config.exclude


class Examined(Struct, frozen=True):
    """The outcome of a run, and what was read for it."""

    report: Report
    reading: Reading
    project: Project | None = None
    """where the run is one of several over a project that stays in memory"""


def examine(
    request: Request, texts: Mapping[Path, bytes] | None = None, before: Reading | None = None
) -> Examined:
    """The run, with these texts in the place of what is on the disk.

    What was read before and has not changed is not parsed again.
    """
    watch = Stopwatch()
    config = request.config
    choices = Choices(config, request.own)
    failures: list[Failure] = []
    warnings: list[str] = []
    with collector_off():
        held = request.held
        if held is not None:
            held.begin()
            before = held.reading
        sources = _sources(request, texts)
        watch.lap("finding files")
        reading = _read(sources, request, failures, warnings, before)
        give_back_freed()
        watch.lap("parsing and lowering")
        notebooks = {shown_path(each.path): each.cells for each in sources if each.cells}
        project = _analyse(reading, request, failures)
        watch.lap("summaries")
        listed = catalogue(config)
        commented = _commented(reading, choices, listed, failures, held)
        found = _check(project, reading, choices, request, failures) if project else ()
        checked = without_copies(found, lambda each: (each.code, each.raw))
        drafts = tuple(each for each in checked if each.is_shown or each.raw.at.module in commented)
        watch.lap("rules")
        places, fixes = _look_up(drafts, reading, failures, held)
        watch.lap("places and fixes")
        silenced = silence(drafts, places, commented)
        shown = one_per_cause((each for each in silenced.kept if each.is_shown), places)
        told = (
            *_refusals(reading, choices),
            *finish(_with_possible_fixes(shown, fixes), places),
            *invalid(commented, listed),
            *(() if failures else unused(silenced, commented, listed)),
        )
        findings = tuple(told_by_cell(each, notebooks) for each in in_order(told))
        if request.with_edits:
            findings = tuple(_with_edits(each, reading) for each in findings)
        if held is not None and failures:  # a fault may have left something half done
            held.drop_project()
    report = Report(
        findings=findings,
        files=reading.reported_files(),
        functions=reading.reported_functions(),
        seconds=watch.total,
        failures=tuple(failures),
        warnings=tuple(warnings),
        sources=_excerpts(findings, reading),
        without_files=tuple(str(path) for path in request.paths if not covers_any(path, sources)),
        stages=watch.laps,
        read=tuple(shown_path(each.path) for each in sources if each.data is not None),
        reported=tuple(shown_path(each.path) for each in sources if each.is_reported),
        own_rules=described(config.own_rules) if config.runs_own_rules else (),
    )
    return Examined(report, reading, project if request.held is not None else None)


def summaries(
    config: Config, paths: Sequence[Path], symbol: str, *, jobs: int = 1
) -> tuple[tuple[SymbolSummary, ...], tuple[Failure, ...], tuple[str, ...]]:
    """What is believed of the functions of this name, what failed, and which names there are."""
    failures: list[Failure] = []
    with collector_off():
        request = Request(config, tuple(paths), jobs)
        reading = _read(discover(paths, config.exclude), request, failures, [])
        project = _analyse(reading, request, failures)
        if project is None:
            return (), tuple(failures), ()
        keys = [(key, project.program.symbol(key)) for key in project.program.all_functions()]
        names = tuple(dict.fromkeys(name for _, name in keys))
        wanted = [key for key, name in keys if is_named(name, symbol)]
        described, failed = beliefs(project, reading, wanted)
    return described, (*failures, *failed), names


def beliefs(
    project: Project, reading: Reading, keys: Iterable[FunctionKey]
) -> tuple[tuple[SymbolSummary, ...], tuple[Failure, ...]]:
    """What is believed of functions of an analysed project, and what failed."""
    failures: list[Failure] = []
    described: list[Description] = []
    for key in keys:
        with _boundary(project.program.symbol(key), failures):
            described.append(project.describe(key))
    sites = group_by_module(site for each in described for site in sites_of(each))
    places = _place(sites, reading, failures)
    return tuple(summary_of(each, places) for each in described), tuple(failures)


# --------------------------------------------------------------------------- the boundary


@contextmanager
def _boundary(subject: str, failures: list[Failure]) -> Iterator[None]:
    """Keeps a fault of ours in one file from ending the run: it is noted, and the others go on."""
    try:
        yield
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
        trace = "".join(traceback.format_exception(error))
        failures.append(Failure(subject, text, trace))


# --------------------------------------------------------------------------- reading

MANY_FILES = 50
MANY_BYTES = 500_000
"""Starting processes pays above these."""


class ReadOutcome(Struct, frozen=True):
    """What became of one file: its representation, why it has none, or how we failed."""

    module: ir.Module | None = None
    refusal: Refusal | None = None
    failure: Failure | None = None
    is_for_good: bool = True
    """whether the same bytes have the same outcome at any time"""


def read_file(data: bytes) -> ReadOutcome:
    """The outcome of parsing and lowering one file."""
    failures: list[Failure] = []
    with _boundary("", failures):
        read = read_module(data)
        return ReadOutcome(refusal=read) if isinstance(read, Refusal) else ReadOutcome(module=read)
    return ReadOutcome(failure=failures[0], is_for_good=False)


def read_encoded(data: bytes) -> bytes:
    """The same, as bytes, for worker processes."""
    gc.disable()
    return msgspec.msgpack.encode(read_file(data))


def decoded(answer: bytes) -> ReadOutcome:
    """What `read_encoded` gave."""
    return msgspec.msgpack.decode(answer, type=ReadOutcome)


def _sources(request: Request, texts: Mapping[Path, bytes] | None) -> tuple[Source, ...]:
    if request.sources is not None and not texts:
        return request.sources
    config = request.config
    return discover(
        request.paths,
        config.exclude,
        request.stdin,
        base=config.root if config.root.is_dir() else None,
        inner=request.excluded,
        force_exclude=request.force_exclude,
        texts=texts,
    )


def _read(
    sources: Sequence[Source],
    request: Request,
    failures: list[Failure],
    warnings: list[str],
    before: Reading | None = None,
) -> Reading:
    held = request.held
    chosen = worth_reading(sources, NothingKept() if held is None else held.validity)
    modules = {} if before is None else dict(_unchanged(chosen, before))
    wanted = tuple(source for source in chosen if source.module not in modules)
    refusals = dict(unreadable(sources))
    for done, (source, outcome) in enumerate(_remembered_outcomes(wanted, request, warnings), 1):
        request.checkpoint()
        if outcome.module is not None:
            modules[source.module] = outcome.module if held is None else held.same(source, outcome.module)
        elif outcome.refusal is not None:
            refusals[source.module] = outcome.refusal
        elif outcome.failure is not None:
            failures.append(msgspec.structs.replace(outcome.failure, subject=shown_path(source.path)))
        if request.progress is not None:
            request.progress(done, len(wanted))
    in_order = {source.module: modules[source.module] for source in chosen if source.module in modules}
    reading = Reading({source.module: source for source in sources}, in_order, refusals)
    if held is not None:
        held.reading = reading
    return reading


def _unchanged(sources: Iterable[Source], before: Reading) -> Iterator[tuple[str, ir.Module]]:
    """The modules that were read from the same bytes before."""
    for source in sources:
        name = source.module
        if name in before.modules and before.sources[name].data == source.data:
            yield name, before.modules[name]


MOST_HELD = 256
"""Files whose outcome waits to be kept: writing them one by one takes longer."""


def _remembered_outcomes(
    sources: Sequence[Source], request: Request, warnings: list[str]
) -> Iterator[tuple[Source, ReadOutcome]]:
    """What became of each file, now or in an earlier run; what is new is kept for later ones."""
    store = request.store
    keys = read_keys(sources) if store is not None else {}
    known = dict(_recalled_outcomes(store, keys)) if store is not None else {}
    fresh = _outcomes([each for each in sources if each.module not in known], request.jobs, warnings)
    held: dict[bytes, bytes] = {}
    for source in sources:
        outcome = known.get(source.module) or next(fresh)
        if source.module in keys and source.module not in known and outcome.is_for_good:
            held[keys[source.module]] = zlib.compress(msgspec.msgpack.encode(outcome), 1)
        if store is not None and len(held) >= MOST_HELD:
            store.keep(held)
            held = {}
        yield source, outcome
    if store is not None:
        store.keep(held)
        store.use(keys[module] for module in known)


def _recalled_outcomes(store: Store, keys: Mapping[str, bytes]) -> Iterator[tuple[str, ReadOutcome]]:
    kept = store.find(keys.values())
    for module, key in keys.items():
        if key in kept:
            try:
                yield module, decoded(zlib.decompress(kept[key]))
            except (zlib.error, msgspec.DecodeError):  # written by something else: a miss
                continue


def _outcomes(sources: Sequence[Source], jobs: int, warnings: list[str]) -> Iterator[ReadOutcome]:
    contents = [source.data or b"" for source in sources]
    if jobs == 1 or (len(contents) <= MANY_FILES and sum(map(len, contents)) <= MANY_BYTES):
        yield from map(read_file, contents)
        return
    answers = map_in_processes(f"{__name__}:{read_encoded.__name__}", contents, jobs)
    for data, answer in zip(contents, answers, strict=True):
        match answer:
            case Died(reason):
                refused = Refusal(f"the parser did not survive this file: {reason}", 1, 1)
                yield ReadOutcome(refusal=refused, is_for_good=False)
            case NotStarted(reason):
                warnings[:] = [f"one process does the work: no more could be started: {reason}"]
                yield read_file(data)
            case encoded:
                yield decoded(encoded)


# --------------------------------------------------------------------------- checking


def _analyse(reading: Reading, request: Request, failures: list[Failure]) -> Project | None:
    config, held = request.config, request.held
    known = knowledge.load(config.knowledge) if held is None else held.tables(config.knowledge)
    settings = AnalysisSettings(
        assume_raced_public=config.assume_raced is AssumeRaced.PUBLIC,
        underscore_drops=config.dropped_task_underscore,
        target=config.target_version,
        older=config.older_versions,
        libraries=config.libraries,
        cancel_safe_decorators=config.cancel_safe_decorators,
    )

    paths = {module: shown_path(reading.sources[module].path) for module in reading.modules}

    def boundary(module: str) -> AbstractContextManager[None]:
        request.checkpoint()
        return _boundary(paths[module], failures)

    def analysed(kept: FormsKept | None = None, before: Project | None = None) -> Project | None:
        with _boundary("the project as a whole", failures):
            return analyse(
                Program(reading.modules, reading.packages), known, settings, boundary, kept, before
            )
        return None

    if held is None:
        return analysed()
    return held.project(reading, settings, analysed)


def _check(
    project: Project, reading: Reading, choices: Choices, request: Request, failures: list[Failure]
) -> Iterator[Draft]:
    found_by = findings if request.held is None else request.held.findings
    own = loaded(request.config.own_rules) if request.config.runs_own_rules else ()
    every = (*all_rules(), *own)
    for module, keys in _by_module(project):
        found: list[Draft] = []
        path = reading.sources[module].path
        config, choice = choices.of(path)
        is_reported = reading.sources[module].is_reported
        rules = tuple(rule for rule in every if rule.code in choice.codes and (is_reported or rule.elsewhere))
        with _boundary(shown_path(path), failures):
            for key in keys:
                request.checkpoint()
                subject = Subject(project, key)
                for rule in rules:
                    for raw in found_by(rule, subject):
                        seen = draft(rule, raw, reading.sources, config, choice)
                        if seen is not None:
                            found.append(seen)
        yield from found


def _by_module(project: Project) -> Iterator[tuple[str, tuple[FunctionKey, ...]]]:
    for module, keys in groupby(project.program.functions(), key=lambda key: key.module):
        yield module, tuple(keys)


def _place(
    sites: Mapping[str, tuple[Site, ...]], reading: Reading, failures: list[Failure]
) -> Mapping[Site, Place]:
    from cancellint.frontend.places import places

    placed: dict[Site, Place] = {}
    for module, own in sites.items():
        source = reading.sources[module]
        with _boundary(shown_path(source.path), failures):
            placed.update(places(source, reading.modules[module], own))
    return placed


def _look_up(
    drafts: Sequence[Draft], reading: Reading, failures: list[Failure], held: Held | None
) -> tuple[Mapping[Site, Place], frozenset[Fix]]:
    """Where the drafts stand, and which of their fixes the text admits."""
    kept = NothingKept[LookedUp]() if held is None else held.places
    placed: dict[Site, Place] = {}
    possible: set[Fix] = set()
    fixes = fixes_by_module(each for each in drafts if each.is_shown)
    for module, sites in sites_by_module(drafts).items():
        source = reading.sources[module]
        with _boundary(shown_path(source.path), failures):
            asked = () if source.cells else fixes.get(module, ())
            places, admitted = _looked_up_in(source, reading.modules[module], sites, asked, kept)
            placed.update(places)
            possible |= admitted
    return placed, frozenset(possible)


def _looked_up_in(
    source: Source,
    module: ir.Module,
    sites: tuple[Site, ...],
    fixes: tuple[Fix, ...],
    kept: Kept[LookedUp],
) -> LookedUp:
    return kept.of(
        source.module,
        lambda: (shown_path(source.path), source.data, module, sites, fixes),
        lambda: _look_up_in(source, module, sites, fixes),
    )


def _look_up_in(source: Source, module: ir.Module, sites: Iterable[Site], fixes: Sequence[Fix]) -> LookedUp:
    """The same of one file, from one tree, of which nothing is left when the next one is made."""
    from cancellint.frontend.excerpts import excerpt
    from cancellint.frontend.places import places_in

    asked = (*sites, *(site for fix in fixes for site in fix.sites))
    seen = excerpt(source.data or b"", module, {site.function for site in asked})
    if isinstance(seen, Refusal):
        return {}, frozenset()
    placed = places_in(seen, source, module, sites)
    if not fixes:
        return placed, frozenset()
    from cancellint.fixes.mend import possible_in

    return placed, possible_in(seen, fixes)


def _with_possible_fixes(drafts: Sequence[Draft], possible: Container[Fix]) -> Iterator[Draft]:
    """The drafts, without fixes that the text does not admit."""
    for each in drafts:
        yield each if each.raw.fix in possible else each.without_fix()


def _with_edits(finding: Finding, reading: Reading) -> Finding:
    """The finding with what its fix does to the text."""
    from cancellint.fixes.edits import edits_of

    if finding.fix is None:
        return finding
    data = reading.sources[finding.fix.sites[0].module].data or b""
    return msgspec.structs.replace(finding, edits=edits_of(data, finding.fix))


def _refusals(reading: Reading, choices: Choices) -> Iterator[Finding]:
    for source, refusal in reading.reported_refusals():
        _, choice = choices.of(source.path)
        if UNREADABLE.code in choice.codes_in(source.path):
            yield refused(shown_path(source.path), refusal, choice)


def _commented(
    reading: Reading,
    choices: Choices,
    listed: Iterable[Listed],
    failures: list[Failure],
    held: Held | None,
) -> Mapping[str, Commented]:
    """The files with comments for this tool, of those that are reported on."""
    kept = NothingKept[Comments]() if held is None else held.comments
    found: dict[str, Commented] = {}
    names = frozenset(rule.name for rule in listed)
    for module, source in reading.sources.items():
        if source.is_reported:
            path = shown_path(source.path)
            config, choice = choices.of(source.path)
            with _boundary(path, failures):
                read = _comments_of(source, dict(config.noqa_aliases), kept)
                comments = without_bare_rules(read, names)
                if comments != NO_COMMENTS:
                    found[module] = Commented(path, comments, choice.codes_in(source.path), choice)
    return found


def _comments_of(source: Source, aliases: Aliases, kept: Kept[Comments]) -> Comments:
    from cancellint.frontend.places import comments_in

    return kept.of(source.module, lambda: (source.data, aliases), lambda: comments_in(source, aliases))


def _excerpts(findings: Iterable[Finding], reading: Reading) -> Mapping[str, tuple[str, ...]]:
    from cancellint.frontend.parse import source_lines

    paths = {
        place.path
        for finding in findings
        for place in (finding.place, *(note.place for note in finding.notes))
    }
    sources = reading.sources.values() if paths else ()
    excerpts: dict[str, tuple[str, ...]] = {}
    for each in sources:
        path = shown_path(each.path)
        if path in paths:
            excerpts |= by_cell(path, source_lines(each.data or b""), each.cells)
    return excerpts
