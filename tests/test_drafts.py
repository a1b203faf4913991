"""What is shown of what the rules find."""

from pathlib import Path

import pytest

from cancellint.config import Config, Profile
from cancellint.drafts import Draft, draft, finish, in_order, one_per_cause
from cancellint.frontend.discover import Source
from cancellint.model.finding import SAME_CAUSE, Confidence, Finding, RawFinding, Severity, SiteNote
from cancellint.model.source import Place, Site, Span
from cancellint.patterns import spec_of
from cancellint.rules.rule import Rule
from cancellint.selection import Choice, FileIgnores

RULE = Rule("CAN999", "a-fault", Severity.WARNING, False, "A fault.", lambda subject: iter(()))
SITE = Site("m", 1, 2)
CERTAIN, LIKELY, POSSIBLE = Confidence


def shown(
    confidence: Confidence, config: Config, *, is_test: bool = False, is_reported: bool = True
) -> Draft | None:
    source = Source(
        path=Path("m.py"), module="m", is_package=False, is_reported=is_reported, is_test=is_test, data=b""
    )
    choice = Choice(frozenset({RULE.code}), {}, (), Path())
    found = draft(RULE, RawFinding(SITE, "message", confidence), {"m": source}, config, choice)
    return found if found is not None and found.is_shown else None


DEFAULT = Config(root=Path())
PEDANTIC = Config(root=Path(), profile=Profile.PEDANTIC)
STRICT = Config(root=Path(), min_confidence=CERTAIN)


@pytest.mark.parametrize(
    ("config", "confidences"),
    [(DEFAULT, {CERTAIN, LIKELY}), (PEDANTIC, {CERTAIN, LIKELY, POSSIBLE}), (STRICT, {CERTAIN})],
)
def test_the_configuration_says_how_weak_a_finding_may_be(
    config: Config, confidences: set[Confidence]
) -> None:
    assert {confidence for confidence in Confidence if shown(confidence, config)} == confidences


def test_in_tests_what_is_not_certain_counts_one_confidence_less() -> None:
    assert shown(LIKELY, DEFAULT, is_test=True) is None
    kept = {given: shown(given, PEDANTIC, is_test=True) for given in Confidence}

    assert {given: draft.confidence for given, draft in kept.items() if draft} == {
        CERTAIN: CERTAIN,
        LIKELY: POSSIBLE,
        POSSIBLE: POSSIBLE,
    }


def test_rules_are_ignored_in_files_and_severities_replaced() -> None:
    raw = RawFinding(SITE, "message", CERTAIN)
    source = Source(
        path=Path("/p/a/m.py"), module="m", is_package=False, is_reported=True, is_test=False, data=b""
    )
    ignores = tuple(FileIgnores(spec_of([pattern]), frozenset({RULE.code})) for pattern in ("b/", "/m.py"))
    severe = Choice(frozenset({RULE.code}), {RULE.code: Severity.ERROR}, ignores, Path("/p"))
    silent = Choice(severe.codes, {}, (*ignores, FileIgnores(spec_of(["a/*.py"]), severe.codes)), Path("/p"))

    found = draft(RULE, raw, {"m": source}, DEFAULT, severe)

    assert found is not None
    assert found.severity is Severity.ERROR
    assert draft(RULE, raw, {"m": source}, DEFAULT, silent) is None


def test_files_that_are_only_read_are_not_reported_on() -> None:
    assert shown(CERTAIN, PEDANTIC, is_reported=False) is None


def test_steps_become_places_and_notes_keep_their_order() -> None:
    other = Site("n", 0, 3)
    raw = RawFinding(
        SITE, "message", CERTAIN, (SiteNote(other, "first"), SiteNote(SITE, "second")), "do this"
    )
    places = {SITE: Place("m.py", Span(1, 2, 3, 4), "f"), other: Place("n.py", Span(5, 6, 7, 8), "g")}

    (finding,) = finish([Draft(RULE.code, RULE.name, RULE.severity, raw, LIKELY)], places)

    assert (finding.place, finding.confidence, finding.help) == (places[SITE], LIKELY, "do this")
    assert [(note.message, note.place) for note in finding.notes] == [
        ("first", places[other]),
        ("second", places[SITE]),
    ]


def finding(path: str, line: int, column: int, code: str, message: str = "m") -> Finding:
    place = Place(path, Span(line, column, line, column + 1), "f")
    return Finding(code, "name", message, Severity.ERROR, CERTAIN, place)


def test_findings_are_ordered_by_place_then_code_and_said_once() -> None:
    findings = [
        finding("b", 1, 1, "CAN101"),
        finding("a", 10, 1, "CAN101"),
        finding("a", 9, 2, "CAN201"),
        finding("a", 9, 2, "CAN101"),
        finding("a", 9, 2, "CAN101"),
        finding("a", 9, 1, "CAN301"),
        finding("a", 9, 2, "CAN101", "another"),
    ]

    expected = [findings[5], findings[6], findings[3], findings[2], findings[1], findings[0]]

    assert list(in_order(findings)) == expected
    assert list(in_order(reversed(findings))) == expected


def of_cause(step: int, cause: str | None, confidence: Confidence, severity: Severity) -> Draft:
    raw = RawFinding(Site("m", 1, step), f"message {step}", confidence, cause=cause)
    return Draft("CAN999", "a-fault", severity, raw, confidence)


def test_findings_of_one_cause_are_told_once_at_the_firmest_and_list_the_other_places() -> None:
    places = {Site("m", 1, step): Place("m.py", Span(step, 1, step, 2), "f") for step in range(1, 6)}
    drafts = [
        of_cause(1, "one", LIKELY, Severity.ERROR),
        of_cause(2, "other", CERTAIN, Severity.WARNING),
        of_cause(3, "one", CERTAIN, Severity.WARNING),
        of_cause(4, "one", LIKELY, Severity.WARNING),
    ]

    found = in_order(finish(one_per_cause(drafts, places), places))

    assert [(each.message, each.severity) for each in found] == [
        ("message 2", Severity.WARNING),
        ("message 3", Severity.ERROR),
    ]
    assert [(note.message, note.place.span.line) for note in found[1].notes] == [
        (f"{SAME_CAUSE}message 1", 1),
        (f"{SAME_CAUSE}message 4", 4),
    ]
