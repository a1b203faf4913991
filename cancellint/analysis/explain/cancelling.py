"""Who cancels, in words."""

from cancellint.analysis.callgraph.cancellers import Cancellation
from cancellint.analysis.program.program import Program
from cancellint.model.finding import Canceller, SiteNote
from cancellint.model.types import site_of


def cancelled_by(program: Program, cancellation: Cancellation) -> SiteNote | None:
    """Return where a cancellation begins, as the last step of a story; None where no place is known."""
    at = cancellation.site
    if at is None:
        return None
    site = site_of(at)
    name = program.function(at.function).qualname
    match cancellation.canceller:
        case Canceller.RACE:
            return SiteNote(site, f"cancelled by `{cancellation.construct}` here")
        case Canceller.CANCEL_SITE:
            return SiteNote(site, "its task is cancelled here, and the program goes on")
        case Canceller.GROUP:
            return SiteNote(site, "cancelled from here, with the task or group that it is part of")
        case Canceller.FRAMEWORK:
            return SiteNote(site, f"`{cancellation.construct}` cancels it when whoever asked has gone")
        case Canceller.PUBLIC:
            return SiteNote(site, f"cancelled by whoever calls `{name}` and stops waiting for it")
        case Canceller.OWNER_ENDS:
            return SiteNote(site, f"only `{name}` cancels it, which ends its owner")
        case Canceller.NONE_KNOWN:
            return None
