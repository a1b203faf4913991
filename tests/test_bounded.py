"""Files and tables of strangers: an answer or a reason, in little time."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cancellint.analysis.library.knowledge import KnowledgeError
from cancellint.analysis.library.knowledge import load as load_tables
from cancellint.bounded import MAX_DEPTH, MAX_PARTS, MAX_WORD, Unusable, parse_toml, read_bytes, write_text
from cancellint.config import ConfigError, load

MONSTERS = {
    "nested arrays": "a = " + "[" * 5_000 + "]" * 5_000,
    "nested tables": "a = " + "{b = " * 5_000 + "1" + "}" * 5_000,
    "open brackets": "a = " + "[" * 100_000,
    "digits": "a = " + "9" * 5_000,
    "hexadecimal digits": "a = 0x" + "f" * 5_000,
    "float digits": "a = 1." + "9" * 100_000,
    "key parts": ".".join(["a"] * 30_000) + " = 1",
    "quoted key parts": ".".join(['"a"'] * 30_000) + " = 1",
    "key parts with blanks": " . ".join(["a"] * 30_000) + " = 1",
    "header parts": "[" + ".".join(["a"] * 30_000) + "]",
    "key parts in a table": "a = {" + ".".join(["a"] * 30_000) + " = 1}",
    "open text": 'a = """' + '\\"""' * 100_000,
    "open quotes": 'a = "' + "x" * 500_000,
    "size": "#" * 2_000_000,
    "a long key": "a" * 500_000 + " = 1",
}


@pytest.mark.parametrize("name", MONSTERS)
@pytest.mark.parametrize("file", ["pyproject.toml", "cancellint.toml"])
def test_a_monstrous_configuration_is_a_message(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_text(MONSTERS[name])
    started = time.monotonic()

    with pytest.raises(ConfigError) as told:
        load(tmp_path)

    assert time.monotonic() - started < 5
    assert len(str(told.value)) < 1_000


@pytest.mark.parametrize("name", MONSTERS)
def test_a_monstrous_table_is_a_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.toml").write_text(MONSTERS[name])
    started = time.monotonic()

    with pytest.raises(KnowledgeError) as told:
        load_tables([tmp_path / "a.toml"])

    assert time.monotonic() - started < 5
    assert len(str(told.value)) < 1_000


ENTRIES = {
    "alternatives": f'returns = "{" | ".join(["int"] * 3_000)}"',
    "nested types": f'returns = "{"list[" * 5_000}{"]" * 5_000}"',
    "a NUL byte in a type": 'returns = "a\\u0000b"',
    "an endless version": f'since = "{"1" * 5_000}"',
    "an endless specifier": f'when = [{{version = ">={"1" * 5_000}"}}]',
    "an endless operand": f'of = "arg:{"x" * 500_000}"',
    "a likely slip of any length": f'cancel = "{"s" * 500_000}"',
    "an alias of many parts": f'aliases = ["{"a." * 200_000}b"]',
    "unknown keys": "\n".join(f"key{number} = 1" for number in range(20_000)),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_monstrous_entry_is_a_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.toml").write_text(f'["a.b"]\nsources = ["x"]\n{ENTRIES[name]}\n')
    started = time.monotonic()

    with pytest.raises(KnowledgeError) as told:
        load_tables([tmp_path / "a.toml"])

    assert time.monotonic() - started < 5
    assert len(str(told.value)) < 1_000


SETTINGS = {
    "a version of any length": f'target-version = "{"3" * 5_000}"',
    "tables of any number": f"knowledge = {[str(number) for number in range(5_000)]}",
    "patterns of any number": f"exclude = {[str(number) for number in range(5_000)]}",
    "patterns of any length": f'exclude = ["{"*a" * 5_000}"]',
    "keys of any length": f'"{"s" * 500_000}" = 1',
    "choices of any length": f'profile = "{"d" * 500_000}"',
    "an array in the place of a word": f"profile = {[[1] * 1_000] * 100}",
    "a NUL byte in a name": 'knowledge = ["a\\u0000b"]',
    "a folder": 'knowledge = ["."]',
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_monstrous_setting_is_a_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "cancellint.toml").write_text(SETTINGS[name])
    started = time.monotonic()

    with pytest.raises((ConfigError, KnowledgeError)) as told:
        load_tables(load(tmp_path).knowledge)

    assert time.monotonic() - started < 5
    assert len(str(told.value)) < 1_000


def test_nonsense_about_the_project_is_its_owners_affair(tmp_path: Path) -> None:
    markers = "; " + "(" * 900 + "os_name == 'a'" + ")" * 900
    (tmp_path / "pyproject.toml").write_text(
        f"[project]\nrequires-python = '>={'3' * 5_000}'\n"
        f'dependencies = ["a>={"1" * 5_000}", "b>=1{markers}", 3, [[]], "{"x" * 100_000}", "c>=2"]\n'
    )

    assert [name for name, _ in load(tmp_path).libraries] == ["c"]


def test_a_table_outside_of_the_repository_is_not_read(tmp_path: Path) -> None:
    project = tmp_path / "repository" / "project"
    project.mkdir(parents=True)
    for name in ("outside.toml", "repository/shared.toml"):
        (tmp_path / name).write_text("")
    (project / "link.toml").symlink_to(tmp_path / "outside.toml")

    def knowledge(name: str) -> object:
        (project / "cancellint.toml").write_text(f'knowledge = ["{name}"]')
        return load(project).knowledge

    for name in ("../../outside.toml", str(tmp_path / "outside.toml"), "link.toml", "../shared.toml"):
        with pytest.raises(ConfigError, match="lies outside of"):
            knowledge(name)
    (tmp_path / "repository/.git").mkdir()
    assert knowledge("../shared.toml") == (project / "../shared.toml",)


@pytest.mark.parametrize("kind", ["pipe", "zero", "folder"])
@pytest.mark.parametrize("name", ["pyproject.toml", "cancellint.toml"])
def test_what_is_no_file_is_no_configuration(tmp_path: Path, kind: str, name: str) -> None:
    special(tmp_path / name, kind)

    with pytest.raises(ConfigError, match=r"not a regular file|directory"):
        load(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "zero", "folder"])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path, kind: str) -> None:
    special(tmp_path / "a", kind)

    with pytest.raises((Unusable, OSError)):
        read_bytes(tmp_path / "a", 10)
    with pytest.raises((Unusable, OSError)):
        write_text(tmp_path / "a", "x")


def special(file: Path, kind: str) -> None:
    """Makes something that is no regular file."""
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "zero":
            file.symlink_to("/dev/zero")
        case _:
            file.mkdir()


def test_what_is_within_the_bounds_is_read() -> None:
    deep = "a = " + "[" * MAX_DEPTH + "]" * MAX_DEPTH
    parts = ".".join(["a"] * (MAX_PARTS + 1)) + " = 1"
    text = 'a = "' + "x." * 5_000 + '"\nb = """\n' + "[" * 500 + '\\""""\nc = \'\'\'' + "[." * 500 + "'''"

    assert parse_toml(deep)
    assert parse_toml(parts)
    assert parse_toml(text)["c"] == "[." * 500
    assert parse_toml("a = " + "9" * MAX_WORD)
    assert parse_toml("a = [" + "1.5, " * 10_000 + "]")


TOML_PARTS = (
    "a",
    "b.c",
    " = ",
    "1",
    '"',
    '"""',
    "'",
    "'''",
    "\\",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "#",
    ".",
    "0x1",
)
PIECES = st.lists(st.sampled_from(TOML_PARTS) | st.text(max_size=3), max_size=40).map("".join)


@given(PIECES)
def test_any_text_is_tables_or_a_reason(text: str) -> None:
    with suppress(Unusable):
        assert isinstance(parse_toml(text), dict)
