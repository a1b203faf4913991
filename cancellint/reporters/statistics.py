"""How many findings each rule has."""

from collections import Counter
from collections.abc import Sequence

from cancellint.model.report import Report
from cancellint.printable import no_commands, printable
from cancellint.reporters.json import Json, dumped, failures


def as_table(report: Report) -> str:
    """One line per rule that found something: how often, code, name; the most frequent first.

    What was not checked stands below.
    """
    counts = _counts(report)
    width = max((len(str(count)) for count in counts.values()), default=0)
    rows = [f"{count:>{width}}  {code}  {name}\n" for (code, name), count in counts.items()]
    failed = [f"not checked: {printable(each.subject)}\n" for each in report.failures]
    return no_commands("".join([*rows, *failed]))


def as_json(report: Report) -> str:
    """The same as one JSON object."""
    rows: Sequence[Json] = [
        {"code": code, "name": name, "count": count} for (code, name), count in _counts(report).items()
    ]
    return dumped({"version": 1, "statistics": rows, "failures": failures(report.failures)})


def _counts(report: Report) -> dict[tuple[str, str], int]:
    counts = Counter((finding.code, finding.name) for finding in report.findings)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
