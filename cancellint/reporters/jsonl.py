"""A JSON object in each line: findings, and what was not checked."""

import json

from cancellint.model.report import Report
from cancellint.printable import json_without_commands
from cancellint.reporters.fingerprints import by_trace
from cancellint.reporters.json import Json, failures, finding_as_json


def render(report: Report) -> str:
    """The objects of the JSON report, one by one; `kind` says what each is."""
    rows: list[Json] = [
        {"kind": "finding", **finding_as_json(finding, print_)}
        for finding, print_ in zip(report.findings, by_trace(report), strict=True)
    ]
    rows += [{"kind": "failure", **failure} for failure in failures(report.failures)]
    return "".join(f"{json_without_commands(json.dumps(row))}\n" for row in rows)
