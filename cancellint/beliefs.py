"""What is believed of functions, from steps to places."""

from collections.abc import Iterator, Mapping

from cancellint.analysis.explain.descriptions import Description
from cancellint.drafts import placed_notes
from cancellint.model.report import ReportedFact, SymbolSummary
from cancellint.model.source import Place, Site


def is_named(name: str, wanted: str) -> bool:
    """Whether a function's dotted name, or its end, is the wanted one."""
    return name == wanted or name.endswith("." + wanted)


def sites_of(description: Description) -> Iterator[Site]:
    """Every step that a description points at."""
    yield description.site
    for fact in description.facts:
        if fact.at is not None:
            yield fact.at
        yield from (note.at for note in fact.via)


def summary_of(description: Description, places: Mapping[Site, Place]) -> SymbolSummary:
    """The description with places instead of steps."""
    facts = tuple(
        ReportedFact(fact.text, places.get(fact.at) if fact.at else None, placed_notes(fact.via, places))
        for fact in description.facts
    )
    return SymbolSummary(description.symbol, places.get(description.site), facts)
