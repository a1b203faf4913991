"""Suppression comments and what they silence."""

from textwrap import dedent

import libcst
import pytest

from cancellint.frontend.positions import comments
from cancellint.frontend.suppress import END_OF_FILE, Comments, Suppression, comments_for_us, may_speak
from cancellint.frontend.tokens import logical_lines
from cancellint.model.source import Span


def said(code: str) -> Comments:
    data = dedent(code).encode()
    assert may_speak(data)
    return comments_for_us(data, comments(libcst.parse_module(data)))


def found(code: str) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
    """First line, last line and rules of every suppression."""
    return tuple((each.first, each.last, each.rules) for each in said(code).suppressions)


def blunders(code: str) -> list[tuple[int, int, str]]:
    """Line, column and problem of every comment that was meant to be one."""
    return [(each.at.line, each.at.column, each.problem) for each in said(code).blunders]


def test_a_comment_at_the_end_of_a_line_speaks_for_it() -> None:
    assert found("x = 1\ny = 2  # cancellint: ignore[CAN101] a reason\nz = 3\n") == ((2, 2, ("CAN101",)),)


def test_a_comment_on_a_line_of_its_own_speaks_for_the_statement_below() -> None:
    code = """
        # cancellint: ignore[CAN101]
        # because of this and that
        x = f(
            1,
        )
        y = 2
        """

    assert found(code) == ((4, 6, ("CAN101",)),)


def test_a_blank_line_ends_the_reach_of_a_comment() -> None:
    assert found("# cancellint: ignore\n\nx = 1\n") == ()


@pytest.mark.parametrize("line", [2, 5])
def test_the_first_and_the_last_line_of_a_statement_speak_for_all_of_it(line: int) -> None:
    lines = ["", "x = await_(", "    1,", "    2,", ")", "y = 1"]
    lines[line - 1] += "  # cancellint: ignore[CAN101]"

    assert found("\n".join(lines)) == ((2, 5, ("CAN101",)),)


def test_a_line_inside_a_statement_speaks_for_itself() -> None:
    assert found("x = (\n    1,\n    2,  # cancellint: ignore\n    3,\n)\n") == ((3, 3, ()),)


def test_a_comment_on_its_own_line_inside_brackets_speaks_for_the_line_below() -> None:
    assert found("x = (\n    1,\n    # cancellint: ignore\n    2,\n    3,\n)\n") == ((4, 4, ()),)


def test_a_compound_statement_is_silenced_in_its_header_only() -> None:
    code = """\
        async def f():
            async with lock:  # cancellint: ignore[CAN204]
                await g()
        """

    assert found(code) == ((2, 2, ("CAN204",)),)


def test_a_comment_before_a_dedented_statement_belongs_to_that_statement() -> None:
    assert found("if a:\n    b = 1\n# cancellint: ignore\nc = 2\n") == ((4, 4, ()),)


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# cancellint: ignore", ()),
        ("#cancellint:ignore", ()),
        ("# cancellint: ignore because", ()),
        ("# cancellint: ignore[CAN101,CAN2] why", ("CAN101", "CAN2")),
        ("# cancellint: ignore[ CAN101 , thread-lock-across-await ]", ("CAN101", "thread-lock-across-await")),
        ("# cancellint: ignore [CAN101]", ("CAN101",)),
    ],
)
def test_the_ways_to_write_it(comment: str, rules: tuple[str, ...]) -> None:
    assert found(f"x = 1  {comment}\n") == ((1, 1, rules),)


@pytest.mark.parametrize(
    "code",
    [
        "x = '# cancellint: ignore'\n",
        'x = """\n# cancellint: ignore\n"""\n',
        "x = 1  # see cancellint: ignore\n",
        "async def f():  # cancellint: cancel-safe\n    pass\n",
        "x = 1  # cancellint: this is about the line above\n",
        "x = 1  # noqa: E501 because CAN101 is silent  cancellint:\n",
        "# noqa: CAN101\nx = 1\n",
    ],
)
def test_what_is_no_suppression(code: str) -> None:
    assert said(code) == Comments()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1  # cancellint: ignored\n", (1, 8, "`ignored` means nothing here; did you mean `ignore`?")),
        ("x = 1  # cancellint: silence[CAN101]\n", (1, 8, "`silence` means nothing here")),
        ("x = 1  # cancellint: ignore[]\n", (1, 8, "no rule stands between the brackets")),
        ("x = 1  # cancellint: ignore[CAN101 why\n", (1, 8, "the bracket is not closed")),
        (
            "x = 1  # cancellint: ignore-file\n",
            (1, 8, "`ignore-file` speaks only from a line of its own"),
        ),
        ("# cancellint: ignore\n", (1, 1, "no statement follows directly")),
        ("x = 1\n# cancellint: ignore\n\ny = 1\n", (2, 1, "no statement follows directly")),
    ],
)
def test_what_was_meant_to_be_a_suppression(code: str, problem: tuple[int, int, str]) -> None:
    assert (blunders(code), found(code)) == ([problem], ())


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# noqa: CAN101", ("CAN101",)),
        ("#NOQA:can101", ("can101",)),
        ("# NoQA : CAN101", ("CAN101",)),
        ("# noqa: E501, CAN101 CAN2,W1 a reason", ("CAN101", "CAN2")),
        ("# type: ignore[misc]  # noqa: CAN101", ("CAN101",)),
        ("# type: ignore[misc]  # cancellint: ignore[CAN101]", ("CAN101",)),
    ],
)
def test_noqa_and_comments_behind_others_count(comment: str, rules: tuple[str, ...]) -> None:
    assert found(f"x = 1  {comment}\n") == ((1, 1, rules),)


def test_a_whole_file_is_meant_from_a_line_of_its_own() -> None:
    assert found("x = 1\n# cancellint: ignore-file[CAN101] generated\n") == ((1, END_OF_FILE, ("CAN101",)),)


def test_files_without_a_word_for_us_are_not_looked_at() -> None:
    assert not may_speak(b"x = 1  # noqa: E501\ny = 'CAN101'\n")


@pytest.mark.parametrize(
    ("rules", "silenced"),
    [
        ((), True),
        (("CAN101",), True),
        (("CAN1",), True),
        (("can101",), True),
        (("a-name",), True),
        (("CAN102",), False),
        (("a",), False),
    ],
)
def test_codes_prefixes_and_names_are_meant(rules: tuple[str, ...], silenced: bool) -> None:
    comment = Suppression(2, 4, rules, Span(2, 1, 2, 9))

    assert (comment.silencing("CAN101", "a-name", 3) is not None) is silenced
    assert comment.silencing("CAN101", "a-name", 5) is None


def test_the_words_that_silence_are_told() -> None:
    comment = Suppression(2, 4, ("CAN1", "CAN2", "a-name"), Span(2, 1, 2, 9))

    assert comment.silencing("CAN101", "a-name", 2) == ("CAN1", "a-name")


def test_logical_lines_know_brackets_strings_and_continuations() -> None:
    code = b"\xef\xbb\xbfa = 1\r\n\r\n# c\r\nb = (\r\n  1)\n'''x\ny'''\nc = \\\n 2\nif d: e\n  # last\nf"

    lines = [code[start:end] for start, end in logical_lines(code)]

    assert lines == [b"a = 1", b"b = (\r\n  1)", b"'''x\ny'''", b"c = \\\n 2", b"if d: e", b"f"]
