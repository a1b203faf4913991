"""What tells each finding from the others, whatever changes elsewhere in its file or the project."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.model.source import Place, Span


def by_place(report: Report) -> tuple[str, ...]:
    """A hash of rule, file, function and the text that is marked, blanks aside.

    Of findings that agree in all of these, the number of those before counts too.
    """
    known = (
        ("", (finding.code, finding.place.path, finding.place.symbol, _text(finding.place, report)))
        for finding in report.findings
    )
    return tuple(_hash(identity) for identity in _numbered(known))


def by_trace(report: Report) -> tuple[str, ...]:
    """A hash of rule, function and the texts along the trace, with the functions they stand in.

    It stays where files are moved, lines are shifted, and code is laid out anew. Copies of the same code in
    several files have the same.
    """
    return tuple(_hash(identity) for identity in _numbered(_by_path(report)))


def by_trace_and_file(report: Report) -> tuple[str, ...]:
    """The same with the file, so that no two are alike."""
    return tuple(
        _hash((finding.place.path, print_))
        for finding, print_ in zip(report.findings, by_trace(report), strict=True)
    )


def _by_path(report: Report) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The file of each finding, and what the finding is known by within it."""
    for finding in report.findings:
        yield finding.place.path, (finding.code, *_trace(finding, report))


def _trace(finding: Finding, report: Report) -> Iterator[str]:
    for place in (finding.place, *(note.place for note in finding.story)):
        yield place.symbol
        yield _text(place, report).replace(" ", "").replace(",)", ")")


def _text(place: Place, report: Report) -> str:
    return " ".join(_marked(report.sources.get(place.text, ()), place.span).split())


def _marked(lines: Sequence[str], span: Span) -> str:
    """The text of the span; of a span that has none, its line."""
    part = list(lines[span.line - 1 : span.end_line])
    if not part or (span.line == span.end_line and span.column >= span.end_column):
        return "\n".join(part)
    part[-1] = part[-1][: span.end_column - 1]
    part[0] = part[0][span.column - 1 :]
    return "\n".join(part)


def _numbered(known: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, ...]]:
    """What each is known by, with the number of those before it that are alike in the same file."""
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for each in known:
        yield (*each[1], str(seen[each]))
        seen[each] += 1


def _hash(identity: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(identity).encode("utf-8", "surrogateescape")).hexdigest()
