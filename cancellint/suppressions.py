"""What suppression comments silence, and what they were meant to silence and do not."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from cancellint.config import nearest
from cancellint.drafts import Draft
from cancellint.frontend.suppress import Comments, Suppression, means
from cancellint.model.finding import Confidence, Finding
from cancellint.model.source import Place, Site, Span
from cancellint.printable import shortened
from cancellint.selection import INVALID_SUPPRESSION, UNUSED_SUPPRESSION, Choice, Listed, words_for


class Commented(Struct, frozen=True):
    """A file with comments for this tool."""

    path: str
    comments: Comments
    codes: frozenset[str]
    """the rules that are shown in it"""
    choice: Choice
    """what its severities come from"""


class Silenced(Struct, frozen=True):
    """What is left of the drafts, and which comments, by which of their words, silenced the others."""

    kept: tuple[Draft, ...]
    used: frozenset[tuple[str, Suppression, str | None]]
    """module, comment and word; None for a comment that names no rule"""


def silence(
    drafts: Iterable[Draft], places: Mapping[Site, Place], commented: Mapping[str, Commented]
) -> Silenced:
    """The drafts that no comment silences. Of those whose place is not known nothing can be said."""
    kept: list[Draft] = []
    used: set[tuple[str, Suppression, str | None]] = set()
    for each in drafts:
        place, module = places.get(each.raw.at), each.raw.at.module
        if place is None:
            continue
        uses = set(_uses(module, each, place.span.line, commented))
        used |= uses
        if not uses:
            kept.append(each)
    return Silenced(tuple(kept), frozenset(used))


def _uses(
    module: str, each: Draft, line: int, commented: Mapping[str, Commented]
) -> Iterator[tuple[str, Suppression, str | None]]:
    if module not in commented:
        return
    for comment in commented[module].comments.suppressions:
        words = comment.silencing(each.code, each.name, line)
        if words is not None:
            yield from ((module, comment, word) for word in words or (None,))


# --------------------------------------------------------------------------- findings about comments


def unused(
    silenced: Silenced, commented: Mapping[str, Commented], rules: tuple[Listed, ...]
) -> Iterator[Finding]:
    """The words of suppressions that silence nothing.

    A word is judged only where all it means is checked: what is off today may be on tomorrow.
    """
    for module, file in commented.items():
        if UNUSED_SUPPRESSION.code not in file.codes:
            continue
        for comment in file.comments.suppressions:
            if comment.is_shared:
                continue
            idle = [
                word
                for word in comment.rules or (None,)
                if (module, comment, word) not in silenced.used and _is_judged(word, rules, file.codes)
            ]
            if idle and not _excuses(file, UNUSED_SUPPRESSION, comment.at.line):
                yield _finding(UNUSED_SUPPRESSION, file, comment.at, _idle(idle))


def _is_judged(word: str | None, rules: tuple[Listed, ...], codes: frozenset[str]) -> bool:
    """Whether all that the word means is checked and could have been reported."""
    meant = [rule for rule in rules if word is None or means(word, rule.code, rule.name)]
    by_default = [rule.code for rule in meant if not rule.pedantic] or [rule.code for rule in meant]
    about_comments = {UNUSED_SUPPRESSION.code, INVALID_SUPPRESSION.code}
    return bool(meant) and not about_comments.issuperset(by_default) and codes.issuperset(by_default)


def _idle(words: list[str | None]) -> str:
    named = ", ".join(f"`{shortened(word)}`" for word in words if word is not None)
    if not named:
        return "nothing is reported here that this comment could silence"
    return f"{named} {'silences' if len(words) == 1 else 'silence'} nothing here"


def invalid(commented: Mapping[str, Commented], rules: tuple[Listed, ...]) -> Iterator[Finding]:
    """The comments that can silence nothing, and the words that name no rule."""
    for file in commented.values():
        if INVALID_SUPPRESSION.code not in file.codes:
            continue
        problems = [(blunder.at, blunder.problem) for blunder in file.comments.blunders]
        for comment in file.comments.suppressions:
            problems.extend((comment.at, problem) for problem in _unknown(comment, rules))
        for at, problem in problems:
            if not _excuses(file, INVALID_SUPPRESSION, at.line):
                yield _finding(INVALID_SUPPRESSION, file, at, problem)


def _unknown(comment: Suppression, rules: tuple[Listed, ...]) -> Iterator[str]:
    for word in comment.rules:
        if not any(means(word, rule.code, rule.name) for rule in rules):
            yield f"`{shortened(word)}` is no rule's code, prefix or name{nearest(word, words_for(rules))}"


def _excuses(file: Commented, rule: Listed, line: int) -> bool:
    """Whether a comment that names this very rule silences it, on its own line or on those it speaks for.

    A comment for all rules does not mean itself.
    """
    return any(
        any(means(word, rule.code, rule.name) for word in comment.rules)
        and (comment.at.line == line or comment.first <= line <= comment.last)
        for comment in file.comments.suppressions
    )


_CURES = {
    UNUSED_SUPPRESSION.code: "remove the comment, or the rule from its list",
    INVALID_SUPPRESSION.code: "mend the comment; `cancellint rules` lists what can be silenced",
}


def _finding(rule: Listed, file: Commented, at: Span, message: str) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        message=message,
        severity=file.choice.severity(rule.code, rule.severity),
        confidence=Confidence.CERTAIN,
        place=Place(file.path, at, "<module>"),
        help=_CURES[rule.code],
    )
