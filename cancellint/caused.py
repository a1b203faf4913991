"""What of a report changes have caused: what they touch, and what was not there before."""

from collections import Counter

import msgspec

from cancellint.baseline import without
from cancellint.changes import Changes
from cancellint.model.finding import Finding
from cancellint.model.report import Report
from cancellint.pipeline import Examined, Request, examine
from cancellint.reporters.fingerprints import by_trace


def caused(request: Request, examined: Examined, changes: Changes) -> Report:
    """The findings that changes touch, and those that were not there before, whatever lines they stand on."""
    report = examined.report
    if all(map(changes.touch, report.findings)):
        return report
    known = Counter(by_trace(_before(request, examined, changes)))
    kept: list[Finding] = []
    for finding, print_ in zip(report.findings, by_trace(report), strict=True):
        is_known = known[print_] > 0
        known[print_] -= is_known
        if not is_known or changes.touch(finding):
            kept.append(finding)
    if len(kept) == len(report.findings):
        return report
    return without(report, kept, f"no change since {changes.revision} causes them")


def _before(request: Request, examined: Examined, changes: Changes) -> Report:
    """What was found before the changes. What has not changed is not parsed again."""
    sources = examined.reading.sources.values()
    texts = {each.path: changes.text_before(each.path) for each in sources if changes.concern(each.path)}
    if not texts:
        return examined.report
    plain = msgspec.structs.replace(request, progress=None, with_edits=False)
    return examine(plain, texts, examined.reading).report
