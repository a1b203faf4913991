"""How many findings each rule has."""

import json
from collections import Counter

from cancellint.model.report import Report


def as_table(report: Report) -> str:
    """One line per rule that found something: how often, code, name; the most frequent first."""
    counts = _counts(report)
    width = max((len(str(count)) for count in counts.values()), default=0)
    return "".join(f"{count:>{width}}  {code}  {name}\n" for (code, name), count in counts.items())


def as_json(report: Report) -> str:
    """The same as one JSON object."""
    rows = [{"code": code, "name": name, "count": count} for (code, name), count in _counts(report).items()]
    return json.dumps({"version": 1, "statistics": rows}, indent=2) + "\n"


def _counts(report: Report) -> dict[tuple[str, str], int]:
    counts = Counter((finding.code, finding.name) for finding in report.findings)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
