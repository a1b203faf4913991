"""A run that fixes what it finds: findings, changes, findings again, until nothing is left to change."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cancellint.collector import collect
from cancellint.frontend.discover import shown_path
from cancellint.frontend.read import Reading
from cancellint.model.finding import Finding, Fix
from cancellint.model.report import Mending, Report, Rewritten
from cancellint.pipeline import Examined, Request, examine
from cancellint.selection import OWN_RULES

ROUNDS = 20
"""How often a project is analysed anew at most: each round makes the fixes that do not touch each other."""


class _Key(NamedTuple):
    """What a finding is known by while lines and steps move."""

    path: str
    code: str
    symbol: str
    message: str

    @property
    def function(self) -> tuple[str, str]:
        """The rule and the function it is broken in."""
        return self.code, self.symbol


class _Attempt(NamedTuple):
    """Fixes of one file, before it is known whether they help."""

    path: Path
    shown: str
    before: bytes
    after: bytes
    keys: tuple[_Key, ...]


Examine: TypeAlias = Callable[[Mapping[Path, bytes], Reading | None], Examined]
"""A run with these texts in the place of what is on the disk, given what was read before."""


def mend(request: Request, *, unsafe: bool) -> Mending:
    """Checks, and makes the safe fixes, on demand the unsafe ones too. Raises what `run` raises."""
    return mend_with(partial(examine, request), unsafe=unsafe)


def mend_with(check: Examine, *, unsafe: bool) -> Mending:
    """The same with any kind of check.

    A fix is taken back if its finding stays, or if its file has more findings of some kind than before.
    """
    return _Mender(check, unsafe).mended()


class _Mender:
    """The texts of one run, and what is known of its fixes."""

    def __init__(self, check: Examine, unsafe: bool) -> None:
        self.check = check
        self.unsafe = unsafe
        self.texts: dict[Path, bytes] = {}
        self.originals: dict[Path, bytes] = {}
        self.refused: set[_Key] = set()
        self.one_by_one: set[Path] = set()
        """the files of which some fix did not help"""

    def mended(self) -> Mending:
        seen = self.check({}, None)
        fixed = 0
        for _ in range(ROUNDS):
            attempts = [*self._attempts(seen)]
            if not attempts:
                break
            collect()
            self.texts |= {each.path: each.after for each in attempts}
            then = self.check(self.texts, seen.reading)
            useless = [each for each in attempts if not _helps(each, seen.report, then.report)]
            for each in useless:
                self._take_back(each, _excess(each, seen.report, then.report))
            seen = self.check(self.texts, then.reading) if useless else then
            fixed += sum(len(each.keys) for each in attempts if each not in useless)
        return Mending(seen.report, tuple(self._rewritten()), fixed)

    def _attempts(self, seen: Examined) -> Iterator[_Attempt]:
        """The fixes to make in each file next."""
        from cancellint.fixes.mend import mended

        for module, fixes in self._wanted(seen.report.findings).items():
            source = seen.reading.sources[module]
            before = source.data or b""
            self.originals.setdefault(source.path, before)
            chosen = tuple(fixes)[:1] if source.path in self.one_by_one else tuple(fixes)
            changed = mended(before, chosen)
            if changed is not None:
                keys = tuple(key for fix in changed.fixes for key in fixes[fix])
                yield _Attempt(source.path, shown_path(source.path), before, changed.data, keys)

    def _wanted(self, findings: Sequence[Finding]) -> Mapping[str, Mapping[Fix, Sequence[_Key]]]:
        """The fixes of each module, with the findings that ask for them."""
        wanted: dict[str, dict[Fix, list[_Key]]] = {}
        for finding in findings:
            key, fix = _key(finding), finding.fix
            if fix is not None and (fix.safe or self.unsafe) and key not in self.refused:
                wanted.setdefault(fix.sites[0].module, {}).setdefault(fix, []).append(key)
        return wanted

    def _take_back(self, useless: _Attempt, excess: frozenset[_Key]) -> None:
        """Undo what did not help, and refuse the fixes of functions that have findings they should not have.

        Where that blames none of several, each is tried on its own from now on.
        """
        self.texts[useless.path] = useless.before
        blamed = {key for key in useless.keys if key.symbol in {each.symbol for each in excess}}
        is_single = len(useless.keys) == 1 or useless.path in self.one_by_one
        self.refused |= set(useless.keys) if is_single else blamed
        if not blamed:
            self.one_by_one.add(useless.path)

    def _rewritten(self) -> Iterator[Rewritten]:
        for path, after in sorted(self.texts.items()):
            if after != self.originals[path]:
                yield Rewritten(path, self.originals[path], after)


def _key(finding: Finding) -> _Key:
    return _Key(finding.place.path, finding.code, finding.place.symbol, finding.message)


def _helps(attempt: _Attempt, before: Report, after: Report) -> bool:
    """Whether the fixed findings are gone, no other has come in their file, and all went well."""
    return len(after.failures) <= len(before.failures) and not _excess(attempt, before, after)


def _excess(attempt: _Attempt, before: Report, after: Report) -> frozenset[_Key]:
    """The findings of a file that should be gone, or should not have come.

    Where a rule tells one finding of several, the next of them may stand in the place of what is fixed.
    """
    had, found = _counts(attempt.shown, before), _counts(attempt.shown, after)
    wanted = had - Counter(attempt.keys)
    rooms = _by_function(had)
    taken = _by_function(found)
    fixed = {key.function for key in attempt.keys}
    return frozenset(
        key
        for key in found
        if found[key] > wanted[key]
        and (key in attempt.keys or key.function not in fixed or taken[key.function] > rooms[key.function])
    )


def _by_function(counts: Counter[_Key]) -> Counter[tuple[str, str]]:
    totals: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        totals[key.function] += count
    return totals


def _counts(path: str, report: Report) -> Counter[_Key]:
    """How often each finding about the code of a file is reported; comments are another matter."""
    own = {rule.code for rule in OWN_RULES}
    return Counter(
        _key(finding) for finding in report.findings if finding.place.path == path and finding.code not in own
    )
