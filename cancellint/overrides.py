"""Settings of one run, which go before those of the configuration."""

from collections.abc import Mapping

import msgspec

from cancellint.config import AssumeRaced, Config, Profile
from cancellint.model.finding import Confidence


class Overrides(msgspec.Struct, frozen=True):
    """The settings that are given on the command line."""

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: str | None = None
    pedantic: bool = False
    assume_raced: str | None = None
    unsafe_fixes: bool | None = None
    own_rules: bool = False
    """whether the projects' own rules may be run"""

    def applied_to(self, config: Config) -> Config:
        """The configuration with these settings before its own."""
        chosen = msgspec.structs.replace(
            config,
            select=self.select or config.select,
            extend_select=(*config.extend_select, *self.extend_select),
            ignore=(*config.ignore, *self.ignore),
            profile=Profile.PEDANTIC if self.pedantic else config.profile,
            min_confidence=None if self.pedantic else config.min_confidence,
            assume_raced=AssumeRaced(self.assume_raced) if self.assume_raced else config.assume_raced,
            unsafe_fixes=config.unsafe_fixes if self.unsafe_fixes is None else self.unsafe_fixes,
            runs_own_rules=self.own_rules,
        )
        if self.min_confidence is None:
            return chosen
        return msgspec.structs.replace(chosen, min_confidence=Confidence(self.min_confidence))

    def origins(self) -> Mapping[str, str]:
        """The settings that are given, each with its option."""
        given = {
            "select": self.select,
            "extend-select": self.extend_select,
            "ignore": self.ignore,
            "assume-raced": self.assume_raced,
        }
        named = {key: f"--{key}" for key, value in given.items() if value}
        if self.pedantic:
            named |= {"profile": "--pedantic", "min-confidence": "--pedantic"}
        return named | ({"min-confidence": "--min-confidence"} if self.min_confidence else {})
