"""Rounds of fixes: which are kept, which are taken back, and when there is an end of it.

The checks here are made by hand: a finding for every function in which a flag is raised and lowered again.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import libcst

from cancellint.config import Config
from cancellint.frontend.discover import Source
from cancellint.frontend.lower import lower
from cancellint.frontend.read import Reading
from cancellint.mending import Mending, mend_with
from cancellint.model import ir
from cancellint.model.finding import Confidence, Edit, Finding, Fix, Severity
from cancellint.model.report import Failure, Report
from cancellint.model.source import Place, Site, Span
from cancellint.pipeline import Examined, Request, examine

FILE = Path("a.py").absolute()
BUSY = "async def {0}(self):\n    self.busy = True\n    await g()\n    self.busy = False\n"
FREE = (
    "async def {0}(self):\n    self.busy = True\n    try:\n        await g()\n"
    "    finally:\n        self.busy = False\n"
)

Findings = Callable[[str], Iterator[Finding]]


def undo(name: str, index: int, steps: tuple[int, int], *, message: str = "") -> Finding:
    """A finding in the function of this name and number, with its fix."""
    return Finding(
        code="CAN107",
        name="stranded-state",
        message=message,
        severity=Severity.ERROR,
        confidence=Confidence.CERTAIN,
        place=Place("a.py", Span(1, 1, 1, 1), name),
        fix=Fix(Edit.UNDO_IN_FINALLY, tuple(Site("a", index, step) for step in steps)),
    )


def stranded(text: str, *, always: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """A finding for every function that is `BUSY`, and for those named whatever they are."""
    for index, function in enumerate(lower(libcst.parse_module(text)).functions):
        stores = [number for number, step in enumerate(function.steps) if isinstance(step, ir.Assign)]
        if function.kind == "function" and (BUSY.format(function.name) in text or function.name in always):
            yield undo(function.name, index, (stores[0], stores[1]))


class Checks:
    """Checks one file that is not there, and counts how often."""

    def __init__(self, text: str, findings: Findings) -> None:
        self.text = text
        self.findings = findings
        self.count = 0

    def __call__(self, texts: Mapping[Path, bytes], before: Reading | None) -> Examined:
        self.count += 1
        data = texts.get(FILE, self.text.encode())
        source = Source(FILE, "a", is_package=False, is_reported=True, is_test=False, data=data)
        report = Report(tuple(self.findings(data.decode())), 1, 1, 0.0, self.failures(data.decode()))
        return Examined(report, Reading({"a": source}, {}, {}))

    def failures(self, text: str) -> tuple[Failure, ...]:
        return ()

    def mended(self) -> Mending:
        return mend_with(self, unsafe=True)


def text_after(mending: Mending, text: str) -> str:
    return mending.files[0].after.decode() if mending.files else text


def test_all_fixes_are_made_in_one_round_where_none_is_in_the_way() -> None:
    text = "".join(map(BUSY.format, "fgh"))
    checks = Checks(text, stranded)

    mending = checks.mended()

    assert (mending.fixed, mending.report.findings, checks.count) == (3, (), 2)
    assert text_after(mending, text) == "".join(map(FREE.format, "fgh"))


def test_a_file_without_fixes_is_checked_once() -> None:
    checks = Checks("x = 1\n", stranded)

    assert checks.mended().files == ()
    assert checks.count == 1


def test_unsafe_fixes_are_not_made_unless_asked_for() -> None:
    mending = mend_with(Checks(BUSY.format("f"), stranded), unsafe=False)

    assert (mending.files, mending.fixed, len(mending.report.findings)) == ((), 0, 1)


def test_a_fix_that_leaves_its_finding_is_taken_back() -> None:
    checks = Checks(BUSY.format("f"), lambda text: stranded(text, always=frozenset("f")))

    mending = checks.mended()

    assert (mending.files, mending.fixed, len(mending.report.findings)) == ((), 0, 1)


def test_a_fix_that_does_not_help_does_not_keep_others_from_being_made() -> None:
    text = "".join(map(BUSY.format, "fgh"))
    mending = Checks(text, lambda text: stranded(text, always=frozenset("g"))).mended()

    assert text_after(mending, text) == FREE.format("f") + BUSY.format("g") + FREE.format("h")
    assert (mending.fixed, len(mending.report.findings)) == (2, 1)


def test_the_next_of_several_findings_may_stand_in_the_place_of_one() -> None:
    def one_of_two(text: str) -> Iterator[Finding]:
        yield from tuple(stranded(text)) or (undo("f", 1, (0, 1), message="another"),)

    mending = Checks(BUSY.format("f"), one_of_two).mended()

    assert text_after(mending, "") == FREE.format("f")
    assert (mending.fixed, [each.message for each in mending.report.findings]) == (1, ["another"])


def test_a_fix_that_brings_another_finding_is_taken_back() -> None:
    def moved(text: str) -> Iterator[Finding]:
        found = tuple(stranded(text))
        yield from found or (undo("g", 1, (0, 1), message="another"),)

    mending = Checks(BUSY.format("f"), moved).mended()

    assert (mending.files, mending.fixed) == ((), 0)


def test_a_fix_after_which_the_check_fails_is_taken_back() -> None:
    class Fails(Checks):
        def failures(self, text: str) -> tuple[Failure, ...]:
            return (Failure("a.py", "a fault"),) if "finally" in text else ()

    mending = Fails(BUSY.format("f"), stranded).mended()

    assert (mending.files, mending.fixed, mending.report.failures) == ((), 0, ())


def test_those_that_do_not_help_are_found_at_once_among_many() -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    text = "".join(map(BUSY.format, names))
    checks = Checks(text, lambda text: stranded(text, always=frozenset("agz")))

    assert (checks.mended().fixed, checks.count) == (len(names) - 3, 4)


def test_where_none_is_to_blame_each_is_tried_on_its_own() -> None:
    def elsewhere(text: str) -> Iterator[Finding]:
        yield from stranded(text)
        if FREE.format("g") in text:
            yield undo("<module>", 0, (0, 1), message="another")

    mending = Checks("".join(map(BUSY.format, "fgh")), elsewhere).mended()

    assert text_after(mending, "") == FREE.format("f") + BUSY.format("g") + FREE.format("h")


def test_what_has_not_changed_is_not_parsed_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(BUSY.format(name))
    request = Request(Config(root=tmp_path), (tmp_path,))

    first = examine(request).reading
    again = examine(request, {tmp_path / "a.py": FREE.format("a").encode()}, first).reading

    assert list(again.modules) == list(first.modules) == ["a", "b"]
    assert again.modules["b"] is first.modules["b"]
    assert again.modules["a"] == lower(libcst.parse_module(FREE.format("a")))
