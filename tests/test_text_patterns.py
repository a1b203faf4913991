"""Patterns as in .gitignore match what pathspec says, and in little time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from cancellint.patterns import MAX_PATTERN, is_pattern, spec_of

PATTERNS = st.lists(
    st.sampled_from(["a", "b", "*", "*", "?", "/", "**", "/**/", "[ab]", "\\*", ".", "!"]),
    min_size=1,
    max_size=9,
).map("".join)
PATHS = st.from_regex(r"[ab*.]{1,4}(/[ab*]{1,4}){0,3}/?", fullmatch=True).filter(lambda path: path[0] != ".")


@given(PATTERNS, PATHS)
def test_a_pattern_matches_what_it_always_did(pattern: str, path: str) -> None:
    try:
        expected = GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        assert not is_pattern(pattern)
        return

    assert spec_of([pattern]).check_file(path).include == expected.check_file(path).include


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 100 + "*b",
        "?*" * 60 + "b",
        "*[a]" * 80 + "b",
        "*[!b]" * 60 + "b",
        "*" * 500 + "b",
        "**/" + "a*/" * 5 + "**/x",
        "/**/".join(["a*a"] * 60) + "/z",
        "**a" * 100 + "b",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    spec = spec_of([pattern])
    started = time.monotonic()

    for path in ("a" * 250 + ".py", "/".join(["aa"] * 1300), "/".join(["a" * 200] * 20)):
        spec.match_file(path)

    assert time.monotonic() - started < 1


def test_a_pattern_of_any_length_is_none() -> None:
    assert is_pattern("a" * MAX_PATTERN)
    assert not is_pattern("a" * (MAX_PATTERN + 1))
