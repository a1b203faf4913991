"""A change that keeps what a program means changes nothing of what is found in it.

Each transformation is made at places of the pages' examples and of the broken fixtures; both texts must give
the same rules with the same confidence, and where no line has moved, at the same lines.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

import pytest

from cancellint.model.finding import Confidence
from cancellint.own_pages import Example, wants_in
from cancellint.rules.rule import Subject, all_rules, findings, without_copies
from cancellint.selection import catalogue
from tests.analysed import Analysed
from tests.metamorphic.editing import ADDED, Edit, Files, variants
from tests.metamorphic.helpers import HELPERS
from tests.metamorphic.names import NAMES
from tests.metamorphic.shapes import SHAPES
from tests.metamorphic.values import VALUES
from tests.rules.test_pages import EXAMPLES

EDITS = (*NAMES, *VALUES, *SHAPES, *HELPERS)

PLACES = 2
"""Places of one example at which one edit is made, spread over it."""

MOST = 24
"""Pairs of one edit. Where it can be made in more, each edit begins with another example."""

SILENT = 4
"""One in so many of the examples in which nothing is to be found is tried as well."""

KNOWN_LIMITS = {
    # One call deeper, it is not known whose task is handed out, and what leaves the task group of a caller.
    ("BodyMoved", "shared-future-unshielded.md"): 2,
    ("BodyMoved", "return-in-task-group.md"): 2,
    # One call deeper, it is not known what is kept in the object for the next call.
    ("BodyMoved", "swallowed-cancellation.md"): 1,
    # A test that a helper makes for its caller is not known to be one of the state that is written then.
    ("ConditionMovedAndBranched", "busy-wait.md"): 5,
    ("ConditionMovedAndBranched", "check-await-act.md"): 6,
    ("ConditionMovedAndBranched", "split-path-ordering.md"): 1,
    ("ConditionMovedAndBranched", "thread-lock-across-await.md"): 1,
    ("ConditionMovedAndBranched", "torn-exchange.md"): 1,
    ("ConditionMovedAndBranched", "unclosed-channel.md"): 1,
    ("ConditionMovedAndBranched", "fixtures/broken/token_refreshed_twice.py"): 1,
    ("ConditionMovedAndBranched", "loop-without-checkpoint.md"): 1,
    ("ConditionMovedAndBranched", "lost-grant.md"): 1,
    ("ConditionMovedAndBranched", "narrow-cleanup.md"): 1,
    ("ConditionMovedAndBranched", "unobserved-task.md"): 2,
    # With a name for what is awaited, what is told stands at the await and not where the awaitable is made.
    ("AwaitableInAVariable", "ignored-gather-errors.md"): 1,
    ("AwaitableInAVariable", "fixtures/broken/token_refreshed_twice.py"): 1,
    # A lock that is made and taken in one expression is, with a name and a `try`, one that others might have.
    ("TryForWith", "inline-lock.md"): 1,
    ("TryForWith", "reentered-async-lock.md"): 1,
    # A future that a record in a table of the object has is not followed through a property of the record.
    ("AttributeNamedAgain", "unguarded-set-result.md"): 1,
    # Nor is a queue, a lock or a container of another object, named again, known to be the one of its class.
    ("AttributeNamedAgain", "iteration-across-await.md"): 1,
    ("AttributeNamedAgain", "split-path-ordering.md"): 4,
    ("AttributeNamedAgain", "wait-under-lock.md"): 1,
    # A manager that is given the table takes the future out of it, but not if another manager stands between.
    ("CleanupByAManager", "unguarded-set-result.md"): 1,
    # What a manager of the module does at its end is not known path by path: the tasks that it collects and
    # the lock that it releases are not connected with the body.
    ("CleanupByAManager", "dropped-race-winner.md"): 3,
    ("CleanupByAManager", "lost-grant.md"): 1,
    ("CleanupByAManager", "thread-lock-across-await.md"): 5,
    ("CleanupByAManager", "reentered-async-lock.md"): 1,
    # What a cancelled task still awaits is looked for in its own function, not in managers that it enters,
    # and so is what a generator cleans up.
    ("CleanupByAManager", "cancel-without-await.md"): 2,
    ("CleanupByAManager", "fixtures/broken/restart_before_cleanup.py"): 1,
    ("CleanupByAManager", "unclosed-generator.md"): 3,
    ("CleanupByAManager", "unshielded-cleanup.md"): 2,
    ("CleanupByAManager", "fixtures/broken/unclosed_generator.py"): 1,
    # Whether a loop ends by itself is less sure with a manager round what swallows.
    ("CleanupByAManager", "swallowed-cancellation.md"): 1,
}
"""How many pairs of an edit and a page differ today. Each is to be mended; then its line goes."""


RARE = {
    "AddedInFull": 12,
    "ArgumentsAppended": 15,
    "ArgumentsInAList": 15,
    "AssignedInATest": 20,
    "BranchesSwapped": 5,
    "ChosenInBranches": 7,
    "CleanupByAManager": 18,
    "HelpersRenamed": 6,
    "ManagersNested": 2,
    "NestedConditions": 4,
    "PartOfConditionInAVariable": 5,
    "RaisedByName": 18,
    "WithForTry": 2,
}
"""How many pairs there are, at the least, of an edit that cannot be made in MOST; all examples are tried."""


class Pair(NamedTuple):
    """An example before and after an edit."""

    example: str
    place: str
    before: Files
    after: Files


class Told(NamedTuple):
    """A finding: what is found, how sure, and where."""

    code: str
    confidence: str
    path: str
    line: int


# --------------------------------------------------------------------------- the examples


def _is_apt(example: Example) -> bool:
    """Tell whether an example is read at all, and what is found in it does not hang on its comments."""
    texts = [text for _, text in example.files]
    speaks = any("cancellint:" in text and "cancel-safe" not in text for text in texts)
    is_package = example.name.startswith("fixtures/") and len(example.files) > 1
    return not is_package and not example.name.startswith("unreadable") and not speaks


def _is_loud(example: Example) -> bool:
    wants = [subject for path, text in example.files for _, subject, _ in wants_in(path, text)]
    return any(subject.startswith("CAN") for subject in wants)


_APT = [example for example in EXAMPLES if _is_apt(example)]
LOUD = [example for example in _APT if _is_loud(example)]
CHOSEN = [*LOUD, *[example for example in _APT if not _is_loud(example)][::SILENT]]


def _pairs(edit: type[Edit]) -> Iterator[Pair]:
    has_limits = any(name == edit.__name__ for name, _ in KNOWN_LIMITS)
    return islice(_every_pair(edit), None if has_limits else MOST)


def _every_pair(edit: type[Edit]) -> Iterator[Pair]:
    examples = _APT if edit.__name__ in RARE else CHOSEN
    first = EDITS.index(edit) * len(examples) // len(EDITS)
    for example in (*examples[first:], *examples[:first]):
        before = dict(example.files)
        every = list(variants(edit, before))
        count = min(len(every), PLACES)
        for place, after in (every[number * len(every) // count] for number in range(count)):
            yield Pair(example.name, place, before, after)


# --------------------------------------------------------------------------- what is found

_RULES = tuple(
    rule for rule in all_rules() if rule.code not in {each.code for each in catalogue() if each.pedantic}
)


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _told(files: Files) -> list[Told]:
    """Return what the rules report, in order."""
    analysed = Analysed({_module(path): text for path, text in files.items()})
    every = [
        (rule.code, finding)
        for rule in _RULES
        for key in sorted(analysed.project.program.functions())
        for finding in findings(rule, Subject(analysed.project, key))
    ]
    told = []
    for code, finding in without_copies(every, lambda pair: pair):
        if finding.confidence is not Confidence.POSSIBLE:
            module, _, line = analysed.place(finding.at).rpartition(":")
            told.append(Told(code, finding.confidence.name, module, int(line)))
    return sorted(told)


@cache
def _found_before(example: str) -> list[Told]:
    return _told(dict(next(each.files for each in _APT if each.name == example)))


def _rules(told: list[Told]) -> Counter[tuple[str, str]]:
    return Counter((each.code, each.confidence) for each in told)


def _lines(told: list[Told], files: Files) -> list[tuple[str, str, int]]:
    """Return where each rule reports something, in lines of the example as it was."""
    texts = {_module(path): text.split("\n") for path, text in files.items()}
    return sorted(
        (each.code, each.path, each.line - _put_in(texts[each.path][: each.line - 1])) for each in told
    )


def _put_in(lines: list[str]) -> int:
    return sum(line.rstrip().endswith(ADDED) for line in lines)


def _moves_lines(pair: Pair) -> bool:
    return any(
        len(text.split("\n")) != len(pair.after[path].split("\n")) - _put_in(pair.after[path].split("\n"))
        for path, text in pair.before.items()
    )


def _differs(edit: type[Edit], pair: Pair) -> str | None:
    """Return what an edit changes, None if nothing."""
    for path, text in pair.after.items():
        compile(text, path, "exec")
    before, after = _found_before(pair.example), _told(pair.after)
    if _rules(before) != _rules(after):
        return f"{pair.example} at {pair.place}: {before} became {after}\n" + "\n".join(pair.after.values())
    if edit.keeps_lines and not _moves_lines(pair):
        then, now = _lines(before, pair.before), _lines(after, pair.after)
        return None if then == now else f"{pair.example} at {pair.place}: {then} became {now}"
    return None


# --------------------------------------------------------------------------- the tests


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_that_keeps_the_meaning_keeps_the_findings(edit: type[Edit]) -> None:
    pairs = list(_pairs(edit))
    changed = [(pair.example.partition(":")[0], text) for pair in pairs if (text := _differs(edit, pair))]
    limits = {page: count for (name, page), count in KNOWN_LIMITS.items() if name == edit.__name__}
    counted = Counter(page for page, _ in changed)

    assert [text for page, text in changed if page not in limits] == []
    assert {page: counted[page] for page in limits} == limits
    assert len(pairs) >= RARE.get(edit.__name__, MOST)
    assert all(pair.before != pair.after for pair in pairs)


def test_each_rule_is_put_to_the_test() -> None:
    tried = {each.code for example in LOUD for each in _found_before(example.name)}
    by_comments = {"CAN001", "CAN002", "CAN003"}
    possible_only = {"CAN602"}

    assert tried == {rule.code for rule in _RULES} - by_comments - possible_only
