"""A repository whose owner means harm: everything that was found to help him, in one folder."""

import os
from collections.abc import Iterator
from pathlib import Path

FIXABLE = """\
import asyncio


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.pending: dict[bytes, asyncio.Future[bytes]] = {}

    async def request(self, key: bytes) -> bytes:
        reply = asyncio.get_running_loop().create_future()
        self.pending[key] = reply
        self.writer.write(key)
        return await asyncio.wait_for(reply, 5)

    async def dispatch(self) -> None:
        while line := await self.reader.readline():
            key, _, value = line.partition(b" ")
            reply = self.pending.pop(key)
            reply.set_result(value)
"""
COMMENT = "# cancellint: ignore[::error::x,\x1b[2J,\u202e,##[error]y,CAN1x] ::stop-commands::z\n"
FAULTY = f'''
import asyncio
import threading
lock = threading.Lock()
open(CANARY, "w").write("imported")
TEXT = """
::stop-commands::here
##[error]here
\x1b[2J\x9b2J\u202e\x07
"""

async def f():
    with lock:
        await asyncio.sleep(1)  {COMMENT}
async def g(held: "os.system('touch ' + CANARY)", r=__import__("os")):
    held["\\x1b[2J\\n::error::k"] = await asyncio.wait_for(r.get(), 1)  # \u202e ##[error]x \x1b[2J
    with lock: await asyncio.sleep(2); "::error::"
'''

NAMES = (
    b"::error ::x.py", b"::stop-commands::x.py", b" ::warning::y.py", b"##[error]z.py", b"a\n::error::n.py",
    b"b\r::error::r.py", b"c\x1b[31m\x1b]0;title\x07.py", "d\u202egpj.py".encode(), b"e\xff\xfe.py",
    b"%0A::error::.py", b"-.py", b"--fix.py", b"--output-file=concise=setup.py", b"[bold]f[red].py",
    "g\x9b31m.py".encode(), b"h\x85.py", b"file,line=1::i.py", "k\u2028::error::k.py".encode(),
)  # fmt: skip
FOLDERS = (b"::error::folder", b"folder\n::error::", b"folder\x1b[2J", b"-rf", b"##[group]")
IGNORED = "\n".join(
    ["*a" * 60 + "*b", "**/" + "*a*/" * 20 + "**/b", "?*" * 400 + "b", "[z-a]", "!", "\\", "*[!b]" * 50 + "b",
     "::error::", "/**/".join(["a*a"] * 60)]
)  # fmt: skip
MONSTROUS_SOURCES = {
    "annotation": "async def f(a: '" + " | ".join(["int"] * 3_000) + "'): await a.get()\n",
    "nested_annotation": "async def f(a: '" + "a[" * 5_000 + "]" * 5_000 + "'): await a.get()\n",
    "comments": "# cancellint: ignore[CAN9, nope]\n" * 5_000 + "async def f(): pass\n",
    "comment": "x = 1  # cancellint: ignore[" + ",".join(f"C{n}" for n in range(50_000)) + "]\n",
    "brackets": "async def f(): " + "(" * 10_000 + "\n",
    "chain": "async def f(): return " + "a + " * 50_000 + "a\n",
    "digits": "async def f(): return " + "9" * 10_000 + "\n",
    "nul": "async def f(): return 1\0\n",
    "bidi": "async def f(): return \u202e\n",
    "error": "async def f(): ::error::\x1b[2J\n",
}


def build(folder: Path) -> Path:
    """Makes the repository, beside a folder `outside` and a file `canary` that nobody may touch."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "fixable.py").write_text(FIXABLE)
    (outside / "report.txt").write_text("mine")
    project = folder / "project"
    project.mkdir()
    canary = folder / "canary"
    faulty = FAULTY.replace("CANARY", repr(str(canary)))
    (project / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (project / ".gitignore").write_text(IGNORED)
    (project / "faulty.py").write_text(faulty)
    (project / "fixable.py").write_text(FIXABLE)
    for name in NAMES:
        named(project, name).write_text("async def f(:  # ::error::\x1b[2J\n")
    for name in FOLDERS:
        named(project, name).mkdir()
        (named(project, name) / "faulty.py").write_text(faulty)
        (named(project, name) / "fixable.py").write_text(FIXABLE)
    for name, text in MONSTROUS_SOURCES.items():
        (project / f"{name}.py").write_text(text)
    (project / ("a" * 240 + ".py")).write_text("async def f(): pass\n")
    for name in (
        "click",
        "queue",
        "libcst",
        "msgspec",
        "rich",
        "tomllib",
        "sitecustomize",
        "conftest",
        "setup",
    ):
        (project / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')\n")
    _link(project, outside)
    _make_special(project)
    _nest_deeply(project)
    return project


def named(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))


def _link(project: Path, outside: Path) -> None:
    (project / "linked").symlink_to(outside)
    (project / "linked.py").symlink_to(outside / "fixable.py")
    (project / "everything").symlink_to("/")
    (project / "processes").symlink_to("/proc")
    (project / "round").symlink_to(project)
    (project / "loop.py").symlink_to("loop.py")
    (project / "report.txt").symlink_to(outside / "report.txt")
    (project / "reports").symlink_to(outside)


def _make_special(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    (project / "zero.py").symlink_to("/dev/zero")
    os.mkfifo(project / "pipe.txt")
    (project / "special").mkdir()
    os.mkfifo(project / "special" / ".gitignore")
    with (project / "huge.py").open("wb") as file:
        file.truncate(1 << 40)


def _nest_deeply(project: Path) -> None:
    """Folders in folders, until no path leads to the innermost."""
    here = os.open(project, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


HOSTILE_TEXT = "x\\u001b[2J\\n::error::y\\u202e##[error]z"
CONFIGURATIONS = {
    "an unknown key": f'"{HOSTILE_TEXT}" = 1',
    "an unknown choice": f'profile = "{HOSTILE_TEXT}"',
    "an unknown rule": f'select = ["{HOSTILE_TEXT}"]',
    "an unknown rule in a file": f'per-file-ignores = {{ "{HOSTILE_TEXT}" = ["{HOSTILE_TEXT}"] }}',
    "a table that is not there": f'knowledge = ["{HOSTILE_TEXT}"]',
    "a table from elsewhere": 'knowledge = ["/etc/passwd"]',
    "a device for a table": 'knowledge = ["zero.py"]',
    "a pipe for a table": 'knowledge = ["pipe.py"]',
    "a hostile table": 'knowledge = ["table.toml"]',
    "nested arrays": "select = " + "[" * 5_000 + "]" * 5_000,
    "digits": "select = " + "9" * 5_000,
    "key parts": ".".join(["a"] * 30_000) + " = 1",
    "not TOML": "::error::\x1b[2J",
    "hostile patterns": 'exclude = ["' + "*a" * 400 + '", "' + HOSTILE_TEXT + '"]',
}
TABLE = f'["{HOSTILE_TEXT}"]\nsources = ["x"]\n"{HOSTILE_TEXT}" = "{HOSTILE_TEXT}"\n'


def configured(project: Path, setting: str) -> None:
    """Gives the project one of the configurations."""
    (project / "table.toml").write_text(TABLE)
    (project / "cancellint.toml").write_text(setting + "\n")


def contents(folder: Path) -> Iterator[tuple[str, bytes | None]]:
    """Every path below a folder that leads somewhere, and what regular files hold."""
    for where, _, files in os.walk(folder):
        for name in files:
            path = Path(where, name)
            yield str(path), path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 20 else None
        yield where, None
