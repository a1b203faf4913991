"""Which rules a run shows, from codes, prefixes and names."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from cancellint.config import Config, Profile, nearest
from cancellint.model.finding import Severity
from cancellint.rules.rule import all_rules


class UnknownRule(Exception):
    """A word that names no rule."""


class Listed(Struct, frozen=True, order=True):
    """A rule as users choose it."""

    code: str
    name: str
    severity: Severity
    pedantic: bool
    summary: str


UNREADABLE = Listed(
    "CAN001",
    "unreadable-file",
    Severity.ERROR,
    False,
    "A file could not be read or parsed, so nothing in it was checked.",
)
"""The rule of the pipeline itself."""


def catalogue() -> tuple[Listed, ...]:
    """Every rule, by code."""
    rules = (Listed(rule.code, rule.name, rule.severity, rule.pedantic, rule.summary) for rule in all_rules())
    return tuple(sorted((UNREADABLE, *rules)))


def find(word: str) -> Listed:
    """The rule of this code or name. Raises UnknownRule."""
    for rule in catalogue():
        if word.casefold() in (rule.code.casefold(), rule.name):
            return rule
    raise _unknown(word, catalogue())


def selected(config: Config) -> frozenset[str]:
    """The codes of the rules whose findings are shown. Raises UnknownRule."""
    rules = catalogue()
    pedantic = config.profile is Profile.PEDANTIC
    if config.select:
        chosen = {code for word in config.select for code in _matching(word, rules, pedantic)}
    else:
        chosen = {rule.code for rule in rules if pedantic or not rule.pedantic}
    return frozenset(chosen.difference(*(_matching(word, rules, True) for word in config.ignore)))


def _matching(word: str, rules: Sequence[Listed], pedantic: bool) -> frozenset[str]:
    """The codes meant by a word; a prefix means pedantic rules only where those are on."""
    folded = word.strip().casefold()
    exact = [rule for rule in rules if folded in (rule.code.casefold(), rule.name)]
    begun = [rule for rule in rules if folded and rule.code.casefold().startswith(folded)]
    if not exact and not begun:
        raise _unknown(word, rules)
    return frozenset(rule.code for rule in exact or begun if exact or pedantic or not rule.pedantic)


def _unknown(word: str, rules: Iterable[Listed]) -> UnknownRule:
    words = [word for rule in rules for word in (rule.code, rule.name)]
    return UnknownRule(f"`{word}` is no rule's code, prefix or name{nearest(word, words)}")
