"""What is parsed of a file to look at some of its functions gives the places that the whole file gives."""

from pathlib import Path

import pytest

import cancellint
from cancellint.frontend import excerpts
from cancellint.frontend.excerpts import Excerpt, excerpt
from cancellint.frontend.lower import lower
from cancellint.frontend.parse import parse
from cancellint.frontend.positions import DEFINITION, spans
from cancellint.model.ir import Module

_OWN = sorted(Path(cancellint.__file__).parent.rglob("*.py"))
LARGE = [path for path in _OWN if path.stat().st_size > 12_000][::3]

TWICE = b"""
import asyncio

class First:
    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self._value = [each for each in new]

    async def wait(self):
        await self.done.wait()

async def again():
    await asyncio.sleep(1)

# a comment of nobody
async def again():
    work = lambda: (each for each in "abc")
    await asyncio.sleep(2)
    return work

class Second:
    async def wait(self):
        \"\"\"Waits
        for long.\"\"\"
        await self.done.wait()
"""


def _lowered(data: bytes) -> Module:
    tree = parse(data)
    assert not isinstance(tree, excerpts.Refusal)
    return lower(tree)


def _seen(data: bytes, module: Module, number: int) -> Excerpt:
    seen = excerpt(data, module, {number})
    assert isinstance(seen, Excerpt)
    return seen


def _same_places(data: bytes, module: Module, number: int) -> bool:
    """Whether all steps of a function lie where they do in the whole file; whether less was parsed for it."""
    steps = [DEFINITION, *range(len(module.functions[number].steps))]
    tree = parse(data)
    assert not isinstance(tree, excerpts.Refusal)
    expected = spans(tree, [(number, step) for step in steps])
    seen = _seen(data, module, number)
    found = spans(seen.tree, [(seen.number(number), step) for step in steps])
    assert [found[seen.number(number), step] for step in steps] == [expected[number, step] for step in steps]
    return len(seen.data.split()) < len(data.split())


@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.stem)
def test_places_are_those_of_the_whole_file(path: Path) -> None:
    data = path.read_bytes()
    module = _lowered(data)
    numbers = range(1, len(module.functions), max(1, len(module.functions) // 5))

    assert sum(_same_places(data, module, number) for number in numbers) > 0


@pytest.fixture
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "SMALLEST", 0)


@pytest.mark.usefixtures("of_any_size")
def test_functions_of_one_name_are_told_apart() -> None:
    module = _lowered(TWICE)
    smaller = [_same_places(TWICE, module, number) for number in range(1, len(module.functions))]

    assert any(smaller)


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize(
    "data",
    [
        TWICE.replace(b"\n", b"\r\n"),
        b"# coding: latin-1\n" + TWICE,
        TWICE.replace(b"class Second", b"\f\nclass Second"),
    ],
    ids=["other line ends", "another encoding", "a form feed"],
)
def test_what_is_not_plain_is_parsed_as_a_whole(data: bytes) -> None:
    module = _lowered(data)

    assert sum(_same_places(data, module, number) for number in range(1, len(module.functions))) == 0


@pytest.mark.usefixtures("of_any_size")
def test_steps_of_the_module_need_the_whole_file() -> None:
    assert _seen(TWICE, _lowered(TWICE), 0).numbers is None


@pytest.mark.usefixtures("of_any_size")
def test_a_function_with_other_steps_is_looked_up_in_the_whole_file() -> None:
    changed = TWICE.replace(b"await asyncio.sleep(1)", b"await asyncio.sleep(1), await asyncio.sleep(1)")
    other = _lowered(changed)
    number = next(i for i, each in enumerate(other.functions) if each.qualname == "again")

    assert _seen(changed, other, number).numbers is not None
    assert _seen(TWICE, other, number).numbers is None


def test_a_broken_file_is_refused() -> None:
    assert isinstance(excerpt(b"def f(:\n", _lowered(TWICE), {1}), excerpts.Refusal)
