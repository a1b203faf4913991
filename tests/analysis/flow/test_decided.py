"""What is known of variables and attributes on all paths to a point, and what makes it unknown again."""

from textwrap import dedent, indent

import pytest

from cancellint.analysis.flow.decided import Truth
from cancellint.model.ir import Call, Const, Name
from tests.analysed import analysed

HEADER = """\
import asyncio
async def pause(): await asyncio.sleep(1)
def mark(): pass
class Gate:
    def __init__(self):
        self.open = True
        self.shut = False
        self.fixed = None
    def close(self): self.open = False
    def latch(self): self.shut = True
    async def f(self, flag, other):
"""


def known(body: str) -> dict[str, str]:
    """What is known where a method calls `mark()`."""
    found = analysed(HEADER + indent(dedent(body).strip("\n"), "        ") + "\n")
    facts = found.project.facts_of(found.key("main.Gate.f"))
    marks = [
        number
        for number, step in enumerate(facts.function.steps)
        if isinstance(step, Call) and step.func == Name("mark")
    ]
    return {
        str(place).rpartition(".")[2]: fact.text if isinstance(fact, Const) else fact.value
        for place, fact in facts.known_before(marks[0])
        if isinstance(fact, Const | Truth)
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if flag:\n    mark()\nif flag:\n    pass", {"flag": "true"}),
        ("if not flag:\n    mark()\nif flag:\n    pass", {"flag": "false"}),
        ("if flag is not None:\n    mark()\nif flag is None:\n    pass", {"flag": "not None"}),
        ("if flag is None:\n    mark()\nif flag is None:\n    pass", {"flag": "None"}),
        ("if flag and other:\n    mark()\nif flag or other:\n    pass", {"flag": "true", "other": "true"}),
        ("flag = False\nif other:\n    flag = False\nmark()\nif flag:\n    pass", {"flag": "False"}),
        ("flag = False\nif other:\n    flag = True\nmark()\nif flag:\n    pass", {}),
        ("if flag:\n    flag = other\n    mark()\nif flag:\n    pass", {}),
        ("if flag:\n    pass\nmark()\nif flag:\n    pass", {}),
        ("if flag:\n    await pause()\n    mark()\nif flag:\n    pass", {"flag": "true"}),
        ("if not flag:\n    return\nmark()\nif flag:\n    pass", {"flag": "true"}),
    ],
)
def test_a_variable_keeps_what_is_known_of_it_until_it_is_bound_again(body: str, expected: dict[str, str]):
    assert known(body) == expected


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ("pass", {"open": "true"}),
        ("await pause()", {}),
        ("self.close()", {}),
        ("other()", {}),
        ("len(other)", {"open": "true"}),
        ("other.open = flag", {}),
        ("self.shut = flag", {"open": "true"}),
    ],
)
def test_an_attribute_keeps_it_until_somebody_else_may_write_it(between: str, expected: dict[str, str]):
    body = f"if self.open:\n    {between}\n    mark()\nif self.open:\n    pass"
    assert known(body) == expected


@pytest.mark.parametrize(("test", "expected"), [("self.shut", {"shut": "true"}), ("not self.shut", {})])
def test_what_nobody_writes_otherwise_stays_known_over_an_await(test: str, expected: dict[str, str]):
    assert known(f"if {test}:\n    await pause()\n    mark()\nif self.shut:\n    pass") == expected


def test_a_branch_that_contradicts_what_is_known_leads_nowhere():
    body = """
        flag, value = 1, None
        if value is not None:
            flag = 2
        mark()
        if flag and value:
            pass
    """
    assert known(body) == {"flag": "1", "value": "None"}
