"""Where findings stand in the text: computed last, and only for files that have some."""

from collections.abc import Iterable, Mapping

from cancellint.frontend import positions
from cancellint.frontend.discover import Source, shown_path
from cancellint.frontend.excerpts import Excerpt, excerpt
from cancellint.frontend.guards import Refusal
from cancellint.frontend.parse import parse
from cancellint.frontend.suppress import (
    NO_ALIASES,
    NO_COMMENTS,
    Aliases,
    Comments,
    comments_for_us,
    may_speak,
)
from cancellint.model import ir
from cancellint.model.source import Place, Site, Span

START = Span(1, 1, 1, 1)
"""The place of what has no better one."""


def places(source: Source, module: ir.Module, sites: Iterable[Site]) -> Mapping[Site, Place]:
    """The place of each of these sites, all of which lie in this file."""
    wanted = frozenset(sites)
    seen = excerpt(source.data or b"", module, {site.function for site in wanted})
    return {} if isinstance(seen, Refusal) else places_in(seen, source, module, wanted)


def places_in(
    seen: Excerpt, source: Source, module: ir.Module, sites: Iterable[Site]
) -> Mapping[Site, Place]:
    """The same of a file of which enough is parsed already."""
    wanted = {site: (seen.number(site.function), site.step) for site in sorted(set(sites))}
    spans = positions.spans(seen.tree, wanted.values())
    path = shown_path(source.path)
    return {
        site: Place(path, spans.get(there, START), module.functions[site.function].qualname)
        for site, there in wanted.items()
    }


def comments_in(source: Source, aliases: Aliases = NO_ALIASES) -> Comments:
    """What the comments of a file say to this tool."""
    data = source.data or b""
    if not may_speak(data, aliases):
        return NO_COMMENTS
    tree = parse(data)
    if isinstance(tree, Refusal):
        return NO_COMMENTS
    return comments_for_us(data, positions.comments(tree), aliases)
