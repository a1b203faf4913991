"""Where the pages of the rules can be read, if the distribution says so."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

DOCUMENTATION = "documentation"
"""The address under `[project.urls]` below which the pages lie, each as `rules/<name>/`."""


OURS = "CAN"
"""Begins the codes of all rules that have a page there."""


def rule_url(code: str, name: str) -> str | None:
    """The address of the page of a rule; those of projects' own have none."""
    base = _documentation() if code.startswith(OURS) else None
    return None if base is None else f"{base.rstrip('/')}/rules/{name}/"


@cache
def _documentation() -> str | None:
    try:
        stated = metadata("cancellint").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    urls = {
        label.strip().casefold(): url.strip() for label, _, url in (each.partition(",") for each in stated)
    }
    return urls.get(DOCUMENTATION)
