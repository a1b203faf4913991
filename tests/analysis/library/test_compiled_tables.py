"""The compiled tables say what the tables say, or are not read at all."""

from pathlib import Path

import pytest

from cancellint import resources
from cancellint.analysis.library import compiled_tables, knowledge
from cancellint.model.knowledge import Entry, Naming, SourceKind

ENTRIES = {"broker.recv": Entry(awaitable=True, source=SourceKind.MESSAGES, sources=("https://example.org",))}
NAMING = Naming(closes=("hang_up",))


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the compiled tables would lie; there are none yet."""
    path = tmp_path / "compiled.msgpack"
    monkeypatch.setattr(resources, "compiled_knowledge", lambda: path)
    return path


def everything(known: knowledge.Knowledge) -> dict[str, Entry | None]:
    return {name: known.entry(name) for name in known.names()}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "compiled.msgpack"
    path.write_bytes(compiled_tables.written(b"1", ENTRIES, NAMING))
    found = compiled_tables.read(path, b"1")

    assert found is not None
    assert (found.entries, found.naming) == (ENTRIES, NAMING)
    assert compiled_tables.read(path, b"2") is None


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x80", b"[]"])
def test_a_broken_file_is_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "compiled.msgpack"
    path.write_bytes(content)

    assert compiled_tables.read(path, b"1") is None


def test_the_digest_tells_names_and_contents_apart(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1")
    (tmp_path / "b.toml").write_text("x = 1")
    before = compiled_tables.digest([tmp_path / "a.toml"])

    assert compiled_tables.digest([tmp_path / "b.toml"]) != before
    (tmp_path / "a.toml").write_text("x = 2")
    assert compiled_tables.digest([tmp_path / "a.toml"]) != before


def test_both_forms_say_the_same(compiled: Path) -> None:
    plain = everything(knowledge.load())

    assert knowledge.compile_tables() == compiled
    assert everything(knowledge.load()) == plain
    assert "shutdown" in knowledge.load().conventions.closes


def test_the_compiled_form_is_what_is_read(compiled: Path) -> None:
    digest = compiled_tables.digest(resources.knowledge_tables())
    compiled.write_bytes(compiled_tables.written(digest, ENTRIES, NAMING))

    assert knowledge.load().names() == ("broker.recv",)
    compiled.write_bytes(compiled_tables.written(b"older", ENTRIES, NAMING))
    assert len(knowledge.load().names()) > 1000


def test_a_projects_table_is_laid_over_the_compiled_ones(compiled: Path) -> None:
    knowledge.compile_tables()
    known = knowledge.load([{"asyncio.sleep": {"suspends": "never", "sources": ["https://example.org"]}}])
    entry = known.entry("asyncio.sleep")

    assert entry is not None
    assert not entry.awaitable
    with pytest.raises(knowledge.KnowledgeError, match="not a known class"):
        knowledge.load([{"a.B": {"kind": "class", "bases": ["a.C"], "sources": ["https://example.org"]}}])
