"""Which findings come first where not all can be shown."""

from collections.abc import Iterable

from cancellint.model.finding import Finding, Severity


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors before warnings, the more certain before the less, and by place among equals."""
    return tuple(
        sorted(findings, key=lambda each: (each.severity is not Severity.ERROR, each.confidence.rank))
    )


def counted(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
