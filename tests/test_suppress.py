"""Suppression comments and what they silence."""

from textwrap import dedent

import libcst
import pytest

from cancellint.frontend.positions import comments
from cancellint.frontend.suppress import Suppression, suppressions
from cancellint.frontend.tokens import logical_lines


def found(code: str) -> tuple[Suppression, ...]:
    data = dedent(code).encode()
    return suppressions(data, comments(libcst.parse_module(data)))


def test_a_comment_at_the_end_of_a_line_speaks_for_it() -> None:
    assert found("x = 1\ny = 2  # cancellint: ignore[CAN101] a reason\nz = 3\n") == (
        Suppression(2, 2, ("CAN101",)),
    )


def test_a_comment_on_a_line_of_its_own_speaks_for_the_statement_below() -> None:
    code = """
        # cancellint: ignore[CAN101]
        # because of this and that
        x = f(
            1,
        )
        y = 2
        """

    assert found(code) == (Suppression(4, 6, ("CAN101",)),)


def test_a_blank_line_ends_the_reach_of_a_comment() -> None:
    assert found("# cancellint: ignore\n\nx = 1\n") == ()


@pytest.mark.parametrize("line", [2, 5])
def test_the_first_and_the_last_line_of_a_statement_speak_for_all_of_it(line: int) -> None:
    lines = ["", "x = await_(", "    1,", "    2,", ")", "y = 1"]
    lines[line - 1] += "  # cancellint: ignore[CAN101]"

    assert found("\n".join(lines)) == (Suppression(2, 5, ("CAN101",)),)


def test_a_line_inside_a_statement_speaks_for_itself() -> None:
    assert found("x = (\n    1,\n    2,  # cancellint: ignore\n    3,\n)\n") == (Suppression(3, 3, ()),)


def test_a_comment_on_its_own_line_inside_brackets_speaks_for_the_line_below() -> None:
    assert found("x = (\n    1,\n    # cancellint: ignore\n    2,\n    3,\n)\n") == (Suppression(4, 4, ()),)


def test_a_compound_statement_is_silenced_in_its_header_only() -> None:
    code = """\
        async def f():
            async with lock:  # cancellint: ignore[CAN204]
                await g()
        """

    assert found(code) == (Suppression(2, 2, ("CAN204",)),)


def test_a_comment_before_a_dedented_statement_belongs_to_that_statement() -> None:
    assert found("if a:\n    b = 1\n# cancellint: ignore\nc = 2\n") == (Suppression(4, 4, ()),)


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
    assert found(f"x = 1  {comment}\n") == (Suppression(1, 1, rules),)


@pytest.mark.parametrize(
    "code",
    [
        "x = '# cancellint: ignore'\n",
        'x = """\n# cancellint: ignore\n"""\n',
        "x = 1  # cancellint: ignored\n",
        "x = 1  # cancellint: ignore[]\n",
        "x = 1  # see cancellint: ignore\n",
        "# cancellint: ignore\n",
        "async def f():  # cancellint: cancel-safe\n    pass\n",
    ],
)
def test_what_is_no_suppression(code: str) -> None:
    assert found(code) == ()


@pytest.mark.parametrize(
    ("rules", "silenced"),
    [
        ((), True),
        (("CAN101",), True),
        (("CAN1",), True),
        (("a-name",), True),
        (("CAN102",), False),
        (("a",), False),
    ],
)
def test_codes_prefixes_and_names_are_meant(rules: tuple[str, ...], silenced: bool) -> None:
    assert Suppression(2, 4, rules).silences("CAN101", "a-name", 3) is silenced
    assert not Suppression(2, 4, rules).silences("CAN101", "a-name", 5)


def test_logical_lines_know_brackets_strings_and_continuations() -> None:
    code = b"\xef\xbb\xbfa = 1\r\n\r\n# c\r\nb = (\r\n  1)\n'''x\ny'''\nc = \\\n 2\nif d: e\n  # last\nf"

    lines = [code[start:end] for start, end in logical_lines(code)]

    assert lines == [b"a = 1", b"b = (\r\n  1)", b"'''x\ny'''", b"c = \\\n 2", b"if d: e", b"f"]
