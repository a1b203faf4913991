"""What a client may set: the names are those of the command line, as JSON writes them."""

from pathlib import Path

import msgspec
from msgspec import Struct

from cancellint.config import AssumeRaced
from cancellint.mistakes import Mistake
from cancellint.model.finding import Confidence
from cancellint.overrides import Overrides
from cancellint.projects import SettingsFrom


class Wrong(Mistake):
    """A client has set something that has no meaning."""


class ClientSettings(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The settings of the server. They go before those of the projects."""

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: Confidence | None = None
    pedantic: bool = False
    assume_raced: AssumeRaced | None = None
    own_rules: bool = False
    config: str | None = None
    isolated: bool = False

    def settings(self, folder: Path) -> SettingsFrom:
        """Where the settings of projects come from; `config` is relative to a folder."""
        overrides = Overrides(
            self.select,
            self.extend_select,
            self.ignore,
            None if self.min_confidence is None else self.min_confidence.value,
            self.pedantic,
            None if self.assume_raced is None else self.assume_raced.value,
            own_rules=self.own_rules and not self.isolated,
        )
        file = None if self.config is None else folder / self.config
        return SettingsFrom(file, self.isolated, overrides)


def read(options: object) -> ClientSettings:
    """The settings that a client gives, by themselves or under `cancellint`. Raises Wrong."""
    match options:
        case None:
            return ClientSettings()
        case {"cancellint": stated, **_others}:
            return read(stated)
    try:
        return msgspec.convert(options, ClientSettings)
    except msgspec.ValidationError as error:
        raise Wrong(f"settings of the editor: {error}") from None
