"""Source files to their intermediate representation."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from cancellint.frontend.discover import Source
from cancellint.frontend.guards import Refusal
from cancellint.frontend.relevance import relevant
from cancellint.kept import Kept
from cancellint.model import ir


class Reading(Struct, frozen=True):
    """What was read. All mappings are by module name and ordered by path."""

    sources: Mapping[str, Source]
    modules: Mapping[str, ir.Module]
    refusals: Mapping[str, Refusal]

    @property
    def packages(self) -> frozenset[str]:
        """The modules that are packages."""
        return frozenset(name for name, source in self.sources.items() if source.is_package)

    def reported_files(self) -> int:
        """How many files are reported on."""
        return sum(source.is_reported for source in self.sources.values())

    def reported_functions(self) -> int:
        """How many functions the files that are reported on define."""
        return sum(
            function.kind == "function"
            for name, module in self.modules.items()
            if self.sources[name].is_reported
            for function in module.functions
        )

    def reported_refusals(self) -> Iterator[tuple[Source, Refusal]]:
        """The files that could not be read or parsed, of those that are reported on."""
        for name, refusal in self.refusals.items():
            if self.sources[name].is_reported:
                yield self.sources[name], refusal


def read_module(data: bytes) -> ir.Module | Refusal:
    """The representation of one file, or why it has none."""
    from cancellint.frontend.lower import lower
    from cancellint.frontend.parse import parse_to_lower

    tree = parse_to_lower(data)
    return tree if isinstance(tree, Refusal) else lower(tree)


def worth_reading(sources: Iterable[Source], valid: Kept[bool]) -> tuple[Source, ...]:
    """The sources that can matter to a rule, and those whose own faults must be told.

    `valid`: which files are known to be read by Python.
    """
    readable = {source.module: source for source in sources if source.data is not None}
    chosen = relevant({name: (source.data or b"", source.is_package) for name, source in readable.items()})
    return tuple(
        source
        for name, source in readable.items()
        if name in chosen or (source.is_reported and not _is_known_as_harmless(source, valid))
    )


def unreadable(sources: Iterable[Source]) -> Iterator[tuple[str, Refusal]]:
    """The modules that could not be read from disk, and why."""
    for source in sources:
        if source.data is None:
            yield source.module, Refusal(source.error, 1, 1)


def _is_known_as_harmless(source: Source, valid: Kept[bool]) -> bool:
    return valid.of(source.module, lambda: (source.data,), lambda: _is_harmless(source))


def _is_harmless(source: Source) -> bool:
    from cancellint.frontend.parse import is_surely_valid

    return is_surely_valid(source.data or b"")
