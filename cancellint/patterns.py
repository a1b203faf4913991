"""Patterns as in .gitignore, matched in time that grows no faster than the path.

`pathspec` translates them to regular expressions, and what has many stars takes exponential time there. A
star may as well take the nearest place where what follows it fits: only the last of a folder or file name has
to try several. The expressions are rewritten to say so.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

MAX_PATTERN: Final = 1_000
"""How many characters a pattern may have; a file's name has at most 255."""


def is_pattern(line: str) -> bool:
    """Whether a line of an ignore file has a meaning; blank lines and comments have that of nothing."""
    return _compiled(line) is not None


def spec_of(lines: Iterable[str]) -> GitIgnoreSpec:
    """What these lines match together; those that have no meaning are passed over, as git does."""
    found = (_compiled(line) for line in lines)
    patterns = [pattern for each in found if each is not None for pattern in each]
    return GitIgnoreSpec(patterns, backend="simple")  # others know no atomic groups


def _compiled(line: str) -> tuple[GitIgnoreSpecPattern, ...] | None:
    if len(line) > MAX_PATTERN:
        return None
    try:
        return tuple(_linear(GitIgnoreSpec.from_lines([line])))
    except (ValueError, re.error, RecursionError, OverflowError):
        return None


def _linear(spec: GitIgnoreSpec) -> Iterator[GitIgnoreSpecPattern]:
    for pattern in spec.patterns:
        if pattern.regex is not None and pattern.include is not None:
            text = pattern.regex.pattern
            assert isinstance(text, str)
            yield type(pattern)(re.compile(linear(text)), pattern.include)


_ONE: Final = r"(?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\](?![*+])|[^][()*+?/\\$^.|])"
"""A part of an expression that stands for one character, which is no slash unless it is in a class."""
_STARS: Final = re.compile(r"(?:\[\^/\]\*){2,}|(?:\[\^/\][*+]){2,}")
_EARLY_STAR: Final = re.compile(rf"\[\^/\](?P<more>[*+])(?P<fixed>{_ONE}+)(?=\[\^/\][*+])", re.DOTALL)
_FOLDERS: Final = "(?:/.+)?"
_LEADING: Final = "(?:.+/)?"


def linear(regex: str) -> str:
    """An expression of `pathspec` that matches the same and never tries more than two things at once."""
    parts = [_EARLY_STAR.sub(_nearest, _STARS.sub(_one_star, part)) for part in regex.split(_FOLDERS)]
    if len(parts) == 1:
        return parts[0]
    first, *inner, last = parts
    if first.startswith("^" + _LEADING):
        first = f"^(?>(?:[^/]+/)*?{first[len(_LEADING) + 1 :]}(?=/))"
    return "".join([first, *(f"(?>(?:/[^/]+)*?{part}(?=/))" for part in inner), _FOLDERS, last])


def _nearest(match: re.Match[str]) -> str:
    return f"(?>[^/]{match['more']}?{match['fixed']})"


def _one_star(match: re.Match[str]) -> str:
    return "[^/]+" if "+" in match[0] else "[^/]*"
