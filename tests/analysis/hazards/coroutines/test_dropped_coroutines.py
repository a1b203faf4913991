"""How many of the labelled functions CAN406 judges as Python does, by name.

`tests/labelled/dropped_coroutines.py` was written before the rule and without it. A function of it is found
if a finding stands in it, and it is listed here if it is not: a new miss, a miss that has gone and a false
alarm all fail.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cancellint.model.finding import Confidence
from cancellint.rules.rule import Subject, all_rules, findings
from tests.analysed import Analysed

LABELLED = Path(__file__).resolve().parents[3] / "labelled" / "dropped_coroutines.py"

MISSED = frozenset(
    {
        "EventBus.emit",
        "charge",
        "compare_hosts",
        "fill_slots",
        "install_tick",
    }
)
"""Bad functions that are not found."""

FALSE_ALARMS: frozenset[str] = frozenset()
"""Good functions in which something is found."""

LEAST_FOUND = 0.9


class Labelled(NamedTuple):
    """A function of the file, by its name in its class, and what its comment says of it."""

    name: str
    label: str
    first: int
    last: int


@cache
def source() -> str:
    return LABELLED.read_text("utf-8")


@cache
def labelled() -> tuple[Labelled, ...]:
    return tuple(_labelled_in(ast.parse(source()), ""))


def _labelled_in(tree: ast.AST, outer: str) -> Iterator[Labelled]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        label = re.match(r"\s*# (bad|good|helper)\b", source().splitlines()[first - 2])
        name = f"{outer}{node.name}"
        if label is not None and label[1] != "helper":
            yield Labelled(name, label[1], first, node.end_lineno or first)
        yield from _labelled_in(node, f"{name}.")


def judged(line: int) -> str:
    """The innermost labelled function that a line belongs to, empty if it belongs to none."""
    around = [each for each in labelled() if each.first <= line <= each.last]
    return max(around, key=lambda each: each.first).name if around else ""


@cache
def reported() -> tuple[tuple[str, Confidence], ...]:
    """In which functions something is found, and how firmly."""
    program = Analysed({"main": source()})
    (rule,) = (each for each in all_rules() if each.code == "CAN406")
    return tuple(
        (judged(int(program.place(finding.at).rpartition(":")[2])), finding.confidence)
        for key in sorted(program.project.program.functions())
        for finding in findings(rule, Subject(program.project, key))
    )


def named(label: str) -> frozenset[str]:
    return frozenset(each.name for each in labelled() if each.label == label)


def test_the_labelled_functions_are_all_read() -> None:
    assert (len(named("bad")), len(named("good"))) == (75, 59)


def test_the_bad_functions_that_are_not_found_are_known_by_name() -> None:
    shown = {name for name, confidence in reported() if confidence is not Confidence.POSSIBLE}

    assert named("bad") - shown == MISSED


def test_enough_of_the_bad_functions_are_found() -> None:
    assert 1 - len(MISSED) / len(named("bad")) >= LEAST_FOUND


def test_nothing_is_found_where_nothing_is_lost_however_weakly() -> None:
    assert {name for name, _ in reported()} - named("bad") == FALSE_ALARMS
