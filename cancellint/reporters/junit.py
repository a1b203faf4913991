"""JUnit's XML, which most services show as tests: each file is a suite, each finding a test that fails."""

from collections.abc import Iterable
from itertools import groupby
from xml.etree import ElementTree

from cancellint.model.finding import Finding
from cancellint.model.report import Failure, Report
from cancellint.printable import no_commands, printable


def render(report: Report) -> str:
    """The suites. Where nothing is found, one test that has passed says so."""
    root = ElementTree.Element("testsuites", name="cancellint")
    for path, findings in groupby(report.findings, key=lambda each: each.place.path):
        _suite(root, path, list(findings))
    for failure in report.failures:
        _failed(root, failure)
    if not len(root):
        suite = _begun(root, "cancellint", 1)
        ElementTree.SubElement(suite, "testcase", name="no findings", classname="cancellint", time="0")
    counts = {
        "tests": sum(int(suite.get("tests", "0")) for suite in root),
        "failures": len(report.findings),
        "errors": len(report.failures),
    }
    for name, count in counts.items():
        root.set(name, str(count))
    root.set("time", f"{report.seconds:.3f}")
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return no_commands(f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _begun(root: ElementTree.Element, name: str, tests: int, failures: int = 0) -> ElementTree.Element:
    suite = ElementTree.SubElement(root, "testsuite", name=name)
    counts = {"tests": tests, "failures": failures, "errors": 0, "skipped": 0, "time": 0}
    for key, count in counts.items():
        suite.set(key, str(count))
    return suite


def _suite(root: ElementTree.Element, path: str, findings: Iterable[Finding]) -> None:
    """A file with its findings."""
    found = list(findings)
    suite = _begun(root, printable(path), len(found), len(found))
    for finding in found:
        place = finding.place
        case = ElementTree.SubElement(
            suite,
            "testcase",
            name=f"{finding.code} {finding.name} at {place.span.line}:{place.span.column}",
            classname=printable(place.symbol),
            file=printable(place.path),
            line=str(place.span.line),
            time="0",
        )
        failure = ElementTree.SubElement(
            case, "failure", message=printable(finding.message), type=finding.severity.value
        )
        failure.text = _story(finding)


def _story(finding: Finding) -> str:
    """Where it is, the steps, and the cure."""
    place = finding.place
    lines = [f"{printable(place.text)}:{place.span.line}:{place.span.column} in {printable(place.symbol)}"]
    for number, note in enumerate(finding.notes, 1):
        at = note.place
        lines.append(f"{number}. {printable(note.message)} ({printable(at.text)}:{at.span.line})")
    if finding.help:
        lines.append(f"help: {printable(finding.help)}")
    return "\n".join(lines)


def _failed(root: ElementTree.Element, failure: Failure) -> None:
    """A file that was not checked by a fault of ours."""
    suite = _begun(root, printable(failure.subject), 1)
    suite.set("errors", "1")
    case = ElementTree.SubElement(
        suite, "testcase", name="cancellint", classname=printable(failure.subject), time="0"
    )
    error = ElementTree.SubElement(case, "error", message=printable(failure.error), type="failure")
    error.text = f"{printable(failure.subject)} was not checked"
