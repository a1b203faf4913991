"""Which rules a run shows, from codes, prefixes and names."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from pathspec import GitIgnoreSpec

from cancellint.config import Config, ConfigError, Profile, Settings, nearest
from cancellint.mistakes import Mistake
from cancellint.model.finding import Severity
from cancellint.own_rules import stated
from cancellint.patterns import spec_of
from cancellint.printable import shortened


class UnknownRule(Mistake):
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
UNUSED_SUPPRESSION = Listed(
    "CAN002",
    "unused-suppression",
    Severity.WARNING,
    False,
    "A comment silences a rule where that rule reports nothing.",
)
INVALID_SUPPRESSION = Listed(
    "CAN003",
    "invalid-suppression",
    Severity.WARNING,
    False,
    "A comment was meant to silence a rule and cannot: no such rule, no such place, no such word.",
)
OWN_RULES = (UNREADABLE, UNUSED_SUPPRESSION, INVALID_SUPPRESSION)
"""The rules of the pipeline itself."""


class FileIgnores(Struct, frozen=True):
    """Rules that are not shown in the files of a pattern."""

    pattern: GitIgnoreSpec
    codes: frozenset[str]

    def covers(self, path: str) -> bool:
        """Whether a path, relative to the project, is meant."""
        return self.pattern.match_file(path)


class Choice(Struct, frozen=True):
    """Which rules a run shows, where, and how severe they are."""

    codes: frozenset[str]
    severities: Mapping[str, Severity]
    """of the rules whose severity is configured, by code"""
    file_ignores: tuple[FileIgnores, ...]
    root: Path
    """what the patterns are relative to"""

    def severity(self, code: str, default: Severity) -> Severity:
        """The severity of a rule."""
        return self.severities.get(code, default)

    def codes_in(self, path: Path) -> frozenset[str]:
        """The codes of the rules that are shown in a file."""
        if not self.file_ignores:
            return self.codes
        try:
            relative = os.path.relpath(path, self.root).replace(os.sep, "/")
        except ValueError:  # another drive
            return self.codes
        return self.codes.difference(*(each.codes for each in self.file_ignores if each.covers(relative)))


class Choices:
    """Which rules are shown in each file of a project, and the configuration that says so."""

    def __init__(self, config: Config, own: Callable[[Path], Config | None]) -> None:
        self._own = own
        self._outer = (config, selected(config))
        self._inner: dict[Path, tuple[Config, Choice]] = {}

    def of(self, file: Path) -> tuple[Config, Choice]:
        """The configuration that holds for a file, its nearest folder with one, and what that chooses."""
        return self._inside(file.parent)

    def _inside(self, folder: Path) -> tuple[Config, Choice]:
        if folder not in self._inner:
            config = self._own(folder)
            if config is not None:
                self._inner[folder] = (config, selected(config))
            elif folder == folder.parent:
                self._inner[folder] = self._outer
            else:
                self._inner[folder] = self._inside(folder.parent)
        return self._inner[folder]


def check_words(settings: Settings) -> None:
    """Raises ConfigError where a setting names a rule that does not exist."""
    rules = catalogue(settings.config)
    for key, words in _named_rules(settings.config):
        for word in words:
            if not _is_known(word, rules) and key in settings.said:
                file, name = settings.said[key]
                raise ConfigError(f"{file}: `{name}`: {_unknown(word, rules)}")


def _named_rules(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The settings that name rules, with the words they use."""
    yield "select", config.select
    yield "extend-select", config.extend_select
    yield "ignore", config.ignore
    yield "severity", tuple(word for word, _ in config.severity)
    yield from (("per-file-ignores", words) for _, words in config.per_file_ignores)
    yield from (("noqa-aliases", words) for _, words in config.noqa_aliases)


def catalogue(config: Config | None = None) -> tuple[Listed, ...]:
    """Every rule, by code; with a configuration, those of its project's own too, be they run or not."""
    from cancellint.rules.rule import all_rules  # with all of the analysis, which not every run needs

    rules = (Listed(rule.code, rule.name, rule.severity, rule.pedantic, rule.summary) for rule in all_rules())
    return tuple(sorted((*OWN_RULES, *rules, *_own(config))))


def _own(config: Config | None) -> Iterator[Listed]:
    for each in stated(config.own_rules) if config is not None else ():
        yield Listed(each.code, each.name, each.severity, each.pedantic, each.summary)


def find(word: str, config: Config | None = None) -> Listed:
    """The rule of this code or name. Raises UnknownRule."""
    rules = catalogue(config)
    for rule in rules:
        if word.casefold() in (rule.code.casefold(), rule.name):
            return rule
    begun = [rule for rule in rules if word and rule.code.casefold().startswith(word.casefold())]
    if begun:
        meant = ", ".join(f"{rule.code} {rule.name}" for rule in begun)
        raise UnknownRule(f"`{shortened(word)}` is a prefix and means {len(begun)} rules: {meant}; name one")
    raise _unknown(word, rules)


def selected(config: Config) -> Choice:
    """What the configuration shows. Raises UnknownRule."""
    rules = catalogue(config)
    pedantic = config.profile is Profile.PEDANTIC
    if config.select:
        chosen = _codes(config.select, rules, pedantic)
    else:
        chosen = frozenset(rule.code for rule in rules if pedantic or not rule.pedantic)
    chosen |= _codes(config.extend_select, rules, pedantic)
    not_run = frozenset() if config.runs_own_rules else frozenset(rule.code for rule in _own(config))
    return Choice(
        codes=chosen - _codes(config.ignore, rules, True) - not_run,
        severities=_severities(config.severity, rules),
        file_ignores=tuple(
            FileIgnores(spec_of([pattern]), _codes(words, rules, True))
            for pattern, words in config.per_file_ignores
        ),
        root=config.root,
    )


def _codes(words: Iterable[str], rules: Sequence[Listed], pedantic: bool) -> frozenset[str]:
    return frozenset(code for word in words for code in _matching(word, rules, pedantic))


def _severities(stated: Iterable[tuple[str, Severity]], rules: Sequence[Listed]) -> Mapping[str, Severity]:
    """The configured severities; a code or name goes before a prefix, a long prefix before a short one."""
    exact = {word for rule in rules for word in (rule.code.casefold(), rule.name)}
    ordered = sorted(stated, key=lambda each: (each[0].casefold() in exact, len(each[0])))
    return {code: severity for word, severity in ordered for code in _matching(word, rules, True)}


def words_for(rules: Iterable[Listed]) -> tuple[str, ...]:
    """The codes and names of rules."""
    return tuple(word for rule in rules for word in (rule.code, rule.name))


def _matching(word: str, rules: Sequence[Listed], pedantic: bool) -> frozenset[str]:
    """The codes meant by a word; a prefix means pedantic rules only where those are on."""
    folded = word.strip().casefold()
    exact = [rule for rule in rules if folded in (rule.code.casefold(), rule.name)]
    begun = [rule for rule in rules if folded and rule.code.casefold().startswith(folded)]
    if not exact and not begun:
        raise _unknown(word, rules)
    return frozenset(rule.code for rule in exact or begun if exact or pedantic or not rule.pedantic)


def _is_known(word: str, rules: Iterable[Listed]) -> bool:
    folded = word.strip().casefold()
    return bool(folded) and any(
        rule.code.casefold().startswith(folded) or rule.name == folded for rule in rules
    )


def _unknown(word: str, rules: Iterable[Listed]) -> UnknownRule:
    return UnknownRule(
        f"`{shortened(word)}` is no rule's code, prefix or name{nearest(word, words_for(rules))}"
    )
