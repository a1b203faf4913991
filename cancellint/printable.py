"""Text of the checked repository, as it may be shown.

Names of files, keys, symbols and comments are written by strangers. Raw, they could move the cursor, turn
the direction of writing, begin a line of their own, or speak to GitHub's runner, which obeys what is printed:
`::error …` at the beginning of a line, `##[error]…` anywhere in one
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions), or to that of Azure, which
obeys `##vso[…`.
"""

import re
import unicodedata
from typing import Final

_OLD_COMMAND: Final = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
_COMMAND: Final = re.compile(r"(?m)(?:^|(?<=\r))([^\S\r\n]*):(?=:)")
_JOINERS: Final = "\u200c\u200d"
"""They are written inside the words of some scripts, and inside emoji."""


def printable(text: str) -> str:
    """The text on one line, with what does not print, or does more than that, written as Python would."""
    if text.isprintable():
        shown = text
    else:
        shown = "".join(char if _is_plain(char) else ascii(char)[1:-1] for char in text)
    return _without_old_commands(shown)


def no_commands(text: str) -> str:
    """The lines of a text, none of which GitHub takes for a command."""
    return _COMMAND.sub(r"\1\\x3a", _without_old_commands(text))


def shortened(text: str, most: int = 200) -> str:
    """The text, printable, and cut where it is longer than that many characters."""
    return printable(text if len(text) <= most else f"{text[:most]}…")


def json_without_commands(text: str) -> str:
    """The same JSON, written so that GitHub takes nothing in it for a command."""
    return _OLD_COMMAND.sub(r"#\\u0023", text)


def _without_old_commands(text: str) -> str:
    return _OLD_COMMAND.sub(r"#\\x23", text)


def _is_plain(char: str) -> bool:
    """Whether a character only prints: blanks of all kinds do, line ends and marks of direction do not."""
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs"
