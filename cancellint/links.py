"""Where the pages of the rules can be read, if the distribution says so."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

DOCUMENTATION = "documentation"
"""The address under `[project.urls]` below which the pages lie, each as `rules/<name>/`."""


def rule_url(name: str) -> str | None:
    """The address of the page of a rule."""
    base = _documentation()
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
