"""Whatever strangers write where they may, there is an answer. CANCELLINT_FUZZ=10000 tries more."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from cancellint.analysis.library.knowledge import KnowledgeError
from cancellint.analysis.library.knowledge import load as load_tables
from cancellint.config import KEYS, Config, ConfigError, load, origins, values
from cancellint.frontend.discover import shown_path
from cancellint.frontend.places import comments_in
from cancellint.model.report import Report
from cancellint.pipeline import run
from cancellint.printable import no_commands, printable
from cancellint.reporters import concise, github, sarif, settings, text
from cancellint.reporters import json as json_reporter
from cancellint.selection import UnknownRule, catalogue, selected
from tests.test_printable import assert_harmless

few = given_settings(max_examples=max(10, given_settings().max_examples // 10))
"""For what takes a whole run of the linter."""

RULES = [sarif.Described(rule.code, rule.name, rule.severity, "", "") for rule in catalogue()]

WORDS = st.sampled_from(
    ["CAN1", "CAN101", "unsafe-await-in-race", "likely", "none", "3.12", "tests/", "**/*a*", "\x1b[2J",
     "::error::", "\u202e"]
) | st.text(st.characters(exclude_categories=("Cs",)), max_size=12)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.dictionaries(st.sampled_from(KEYS) | WORDS, VALUES, max_size=4)


def toml(value: object) -> str:
    """A value as TOML would write it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case dict():
            return "{" + ", ".join(f"{quoted(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return quoted(str(value))


def quoted(word: str) -> str:
    return (
        '"'
        + "".join(char if char.isalnum() and char.isascii() else f"\\U{ord(char):08X}" for char in word)
        + '"'
    )


@contextmanager
def project(**files: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(content, "utf-8", newline="")
        yield folder


def assert_all_formats_are_harmless(report: Report) -> None:
    assert_harmless(text.render(report, color=False))
    assert_harmless(concise.render(report))
    assert_harmless(github.render(report), commands=("::error ", "::warning "))
    for structured in (json_reporter.render(report), sarif.render(report, RULES)):
        assert structured.isascii()
        json.loads(structured)


@given(SETTINGS)
def test_any_configuration_is_settings_or_a_message(chosen: dict[str, object]) -> None:
    lines = "".join(f"{quoted(key)} = {toml(value)}\n" for key, value in chosen.items())
    with project(cancellint__toml=lines) as folder:
        try:
            config = load(folder)
            selected(config)
            said = origins(folder)
            load_tables(config.knowledge)
        except (ConfigError, UnknownRule, KnowledgeError) as told:
            assert_harmless(no_commands(printable(str(told))))
            return
        rows = [settings.Setting(key, value, said[key]) for key, value in values(config).items()]
    assert_harmless(settings.as_toml(rows))


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_message(content: str) -> None:
    with (
        project(pyproject__toml=content.encode("utf-8", "replace").decode()) as folder,
        suppress(ConfigError),
    ):
        assert isinstance(load(folder), Config)


ENTRY_KEYS = st.sampled_from(
    ["sources", "roles", "returns", "of", "into", "params", "aliases", "bases", "kind", "cancel", "mode",
     "race", "when", "since", "suspends", "awaitable", "note", "timeout"]
)  # fmt: skip
ENTRY_VALUES = (
    st.sampled_from(["class", "races", "loses", "safe", "arg:0", "self", "result.0", ">=3.12", ["x"]])
    | VALUES
)  # fmt: skip


@given(st.dictionaries(WORDS, st.dictionaries(ENTRY_KEYS | WORDS, ENTRY_VALUES, max_size=4), max_size=3))
def test_any_table_is_knowledge_or_a_message(tables: dict[str, dict[str, object]]) -> None:
    lines = "".join(
        f"[{quoted(name)}]\nsources = ['x']\n" + "".join(
            f"{quoted(key)} = {toml(value)}\n" for key, value in keys.items() if key != "sources"
        )
        for name, keys in tables.items()
    )  # fmt: skip
    with project(own__toml=lines) as folder:
        try:
            load_tables([folder / "own.toml"], shipped=False)
        except KnowledgeError as told:
            assert_harmless(no_commands(printable(str(told))))


COMMENT_PARTS = st.sampled_from(
    ["cancellint:", "ignore", "ignore-file", "ignor", "[", "]", "CAN101", "CAN9", ",", " ", "#", "noqa:",
     "noqa", "cancel-safe", ":", "\x1b[2J", "::error::", "##[error]", "\u202e", "\u2028", "\x0c"]
)  # fmt: skip
IN_COMMENTS = st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0")
COMMENTS = st.lists(COMMENT_PARTS | st.text(IN_COMMENTS, max_size=4), max_size=14)


@few
@given(st.lists(COMMENTS.map("".join), min_size=1, max_size=5), st.booleans())
def test_any_comments_are_read_and_told(comments: list[str], own_lines: bool) -> None:
    mark = "\n# " if own_lines else "  # "
    source = "async def f(q):\n    pass\n" + "".join(f"x = 1{mark}{comment}\n" for comment in comments)
    with project(pyproject__toml="", a__py=source) as folder:
        report = run(Config(root=folder), [folder])

    assert report.failures == ()
    assert_all_formats_are_harmless(report)


NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47}.intersection(name))


@few
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_any_file_names_are_shown_and_none_is_obeyed(names: list[bytes]) -> None:
    with project(pyproject__toml="") as folder:
        for name in names:
            Path(os.fsdecode(os.path.join(os.fsencode(folder), name + b".py"))).write_text("async def f(:\n")
        report = run(Config(root=folder), [folder])

    assert report.failures == ()
    assert len(report.findings) == len(names)
    assert_all_formats_are_harmless(report)
    assert all(shown_path(Path(finding.place.path)) for finding in report.findings)


def test_comments_are_read_where_they_are_many() -> None:
    from cancellint.frontend.discover import Source

    data = b"# cancellint: ignore[CAN9]\n" * 5_000 + b"x = 1\n"
    comments = comments_in(Source(Path("a.py"), "a", False, True, False, data))

    assert len(comments.suppressions) + len(comments.blunders) == 501
    assert comments.blunders[-1].problem == "comments of more than 1,000 words are not read"
