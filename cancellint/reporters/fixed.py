"""What a run with fixes has done, in one line."""

from collections.abc import Sequence

from cancellint.model.finding import Finding


def render(fixed: int, files: int, left: Sequence[Finding], *, unsafe_fixes: bool) -> str:
    """How many findings were fixed, and why those that are left were not."""
    fixes = [each.fix for each in left if each.fix is not None]
    tried = sum(fix.safe or unsafe_fixes for fix in fixes)
    reasons = {
        "left without an automatic fix": len(left) - len(fixes),
        "left because its fix does not help": tried,
        "fixable with --unsafe-fixes": len(fixes) - tried,
    }
    done = f"fixed {amount(fixed, files)}" if fixed else "nothing fixed"
    parts = (f"{_number(count, 'finding')} {why}" for why, count in reasons.items() if count)
    return "; ".join([done, *parts])


def amount(findings: int, files: int) -> str:
    """So many findings in so many files."""
    return f"{_number(findings, 'finding')} in {_number(files, 'file')}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
