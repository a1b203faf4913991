"""What the tool believes about a function, in words."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from cancellint.analysis.program import Program
from cancellint.analysis.summarize import Result
from cancellint.model.finding import SiteNote
from cancellint.model.source import Site
from cancellint.model.summary import KEPT, RESULT, Loss, Path
from cancellint.model.types import FunctionKey


class Fact(Struct, frozen=True):
    """One belief, the step it rests on and the steps behind that."""

    text: str
    at: Site | None = None
    via: tuple[SiteNote, ...] = ()


class Description(Struct, frozen=True):
    """All beliefs about one function."""

    symbol: str
    site: Site
    facts: tuple[Fact, ...]


def describe(
    program: Program, results: Mapping[FunctionKey, Result], key: FunctionKey, result: Result
) -> Description:
    """Return the facts of a summary as sentences, each with its place."""
    words = _Words(program, key)
    site = Site(key.module, key.function, -1)
    return Description(program.symbol(key), site, tuple(words.facts(result)))


def _safety(losses: tuple[Loss, ...]) -> str:
    if all(loss.native for loss in losses):
        return "cancel-safe in scopes" if losses else "cancel-safe"
    return "not cancel-safe"


class _Words:
    """Turns facts into sentences that name things as the function's author does."""

    def __init__(self, program: Program, key: FunctionKey) -> None:
        self._function = program.function(key)
        self._key = key

    def facts(self, result: Result) -> Iterator[Fact]:
        summary = result.summary
        yield Fact("suspends" if summary.suspends else "never suspends")
        if self._function.is_async:
            yield Fact(_safety(summary.losses))
        for take in summary.takes:
            yield Fact(f"takes {self.name(take.source)} {self._destination(take.into)} ({take.origin})")
        for loss in summary.losses:
            origin = result.origins.get(loss)
            at = None if origin is None else Site(self._key.module, self._key.function, origin.at)
            by = " by asyncio itself" if loss.native else ""
            yield Fact(f"loses {self.name(loss.source)} if cancelled{by} ({loss.cause}, {loss.origin})", at)
        for unsettled in summary.unsettled:
            name = self.name(unsettled.loss.source)
            yield Fact(f"drops {name} in a race and {unsettled.leaving}: the caller must not read on")
        for verb, paths in (
            ("closes", summary.closes),
            ("replaces", summary.replaces),
            ("holds on return", summary.acquires),
            ("releases", summary.releases),
        ):
            for path in paths:
                yield Fact(f"{verb} {self.name(path)}")
        for verb, params in (
            ("keeps", summary.keeps),
            ("hands back", summary.hands_back),
            ("calls", summary.calls),
        ):
            for index in params:
                yield Fact(f"{verb} {self._function.params[index].name}")
        for index, into in summary.stores:
            yield Fact(f"stores {self._function.params[index].name} into {self.name(into)}")

    def _destination(self, into: Path) -> str:
        if into == RESULT:
            return "into its result"
        return "and keeps it" if into == KEPT else f"into {self.name(into)}"

    def name(self, path: Path) -> str:
        """Return a path as the author would write it."""
        kind, _, name = path.root.partition(":")
        match kind:
            case "param" | "raced" | "called":
                first = self._function.params[int(name)].name
            case "free":
                first = name.rpartition(":")[2]
            case _:
                first = name.removeprefix(f"{self._key.module}.")
        shown = (field if field.startswith("[") else f".{field}" for field in path.fields)
        return first + "".join(shown)
