"""Random edits of a project, each answered by a workspace that has seen all before it, and by a fresh one.

    python benchmarks/edits.py TREE --edits 300

The two answers have to be the same bytes. Edits are made to a copy: functions change in their bodies and
signatures, imports come and go, classes are derived, functions called from elsewhere, modules deleted and put
back, library tables and settings changed, comments written, and now and then a file is no Python for a while.
A tree is best one that has findings; what is compared is everything that a report says.
"""

import argparse
import ast
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeAlias

from cancellint.formats import Look, rendered
from cancellint.mistakes import Mistake
from cancellint.workspace import Workspace

TABLE = """
["{name}"]
kind = "function"
awaitable = true
roles = ["{role}"]
sources = ["https://example.org"]
untested = "made up"
"""

Files: TypeAlias = dict[str, str]
"""The texts of a project, by path; one that is not there any more is left out."""


class Difference(NamedTuple):
    """An edit after which the two answers differ."""

    number: int
    edit: str
    held: str
    fresh: str


def main() -> int:
    """Makes the edits, prints what they took, and returns 1 where answers differ."""
    parser = argparse.ArgumentParser(description="A workspace against fresh runs, under random edits")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        shutil.copytree(options.tree, project, ignore=shutil.ignore_patterns(".git", ".venv"))
        found = list(differences(project, options.edits, options.seed, times.append))
    for each in found:
        print(f"edit {each.number} ({each.edit}): the answers differ")
        _print_difference(each)
    print(f"{options.edits} edits, {len(found)} differences, median {median(times):.2f} s of CPU time each")
    return 1 if found else 0


def differences(
    project: Path, edits: int, seed: int, took: Callable[[float], object] = lambda _: None
) -> Iterator[Difference]:
    """Makes edits to the project, and yields those after which a fresh workspace answers something else."""
    choose = random.Random(seed)
    editing = Editing(project, choose)
    held = Workspace([project])
    held.findings()
    for number in range(edits):
        name = editing.edit(held)
        asked = editing.some_files()
        begun = time.process_time()
        mine = answer(held, asked)
        took(time.process_time() - begun)
        fresh = Workspace([project])
        editing.tell_all(fresh)
        theirs = answer(fresh, asked)
        if mine != theirs:
            yield Difference(number, name, mine, theirs)


def answer(workspace: Workspace, asked: tuple[Path, ...]) -> str:
    """All that a report says but how long it took, its failures included, or the mistake it ends with."""
    try:
        report = workspace.findings(asked)
    except Mistake as mistake:
        return str(mistake)
    return "\n".join((rendered(report, "json", Look(color=False, in_full=True)), repr(report.failures)))


class Editing:
    """The texts of a project as they are changed: on the disk, or in the workspace alone."""

    def __init__(self, project: Path, choose: random.Random) -> None:
        self._project = project
        self._choose = choose
        self._texts = {
            str(path.relative_to(project)): path.read_text("utf-8", "replace")
            for path in sorted(project.rglob("*.py"))
        }
        self._deleted: Files = {}
        self._overlay: Files = {}
        self._count = 0

    def edit(self, workspace: Workspace) -> str:
        """Makes one edit, tells the workspace of it, and returns its name."""
        self._count += 1
        kinds: Mapping[str, Callable[[], Files]] = {
            "statement added": self._with_statement,
            "statement removed": self._without_statement,
            "constant changed": self._with_constant,
            "awaits another": self._with_await,
            "parameter added": self._with_parameter,
            "import added": self._with_import,
            "import removed": self._without_import,
            "class derived": self._with_subclass,
            "called from elsewhere": self._with_caller,
            "comment added": self._with_comment,
            "no Python": self._broken,
            "module deleted": self._without_module,
            "module put back": self._with_deleted,
            "table changed": self._with_table,
            "settings changed": self._with_settings,
        }
        name = self._choose.choice(sorted(kinds))
        for path, text in kinds[name]().items():
            self._texts[path] = text
            if path.endswith(".py") and self._choose.random() < 0.5:
                self._overlay[path] = text
                workspace.update(self._project / path, text.encode())
            else:
                self._overlay.pop(path, None)
                workspace.update(self._project / path, None)
                (self._project / path).write_text(text, "utf-8")
        for path in self._deleted:
            self._overlay.pop(path, None)
            workspace.update(self._project / path, None)
            (self._project / path).unlink(missing_ok=True)
        return name

    def tell_all(self, workspace: Workspace) -> None:
        """Tells another workspace what this one has been told and the disk does not say."""
        for path, text in self._overlay.items():
            workspace.update(self._project / path, text.encode())

    def some_files(self) -> tuple[Path, ...]:
        """The files that the next answer is to be about: mostly all of them."""
        if self._choose.random() < 0.7:
            return ()
        return tuple(self._project / path for path in self._some(sorted(self._modules())))

    def _some(self, paths: list[str]) -> list[str]:
        return self._choose.sample(paths, min(len(paths), self._choose.randint(1, 3)))

    def _modules(self) -> Files:
        return {path: text for path, text in self._texts.items() if path.endswith(".py")}

    def _parsed(self) -> tuple[str, str, ast.Module]:
        """A module that is Python, with its text and its tree."""
        while True:
            path, text = self._choose.choice(sorted(self._modules().items()))
            try:
                return path, text, ast.parse(text)
            except SyntaxError:
                continue

    def _function(self) -> tuple[str, list[str], ast.FunctionDef | ast.AsyncFunctionDef] | None:
        """A function, preferably a coroutine, with the lines of its file."""
        path, text, tree = self._parsed()
        every = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        coroutines = [each for each in every if isinstance(each, ast.AsyncFunctionDef)]
        if not every:
            return None
        chosen = self._choose.choice(coroutines if coroutines and self._choose.random() < 0.7 else every)
        return path, text.splitlines(keepends=True), chosen

    def _inserted(self, statement: str) -> Files:
        found = self._function()
        if found is None:
            return {}
        path, lines, function = found
        first = self._choose.choice(function.body)
        if first.lineno == function.lineno:  # all on one line
            return {}
        lines.insert(first.lineno - 1, " " * first.col_offset + statement + "\n")
        return {path: "".join(lines)}

    def _with_statement(self) -> Files:
        names = ("self.changed", "changed", "self.buffer", "self.lock", "self.closed")
        return self._inserted(f"{self._choose.choice(names)} = {self._choose.randint(0, 9)}")

    def _with_await(self) -> Files:
        function = self._a_name()
        waits = (
            "await __import__('asyncio').sleep(0)",
            f"await {function}()",
            f"await self.{function}()",
            f"self.task = __import__('asyncio').create_task({function}())",
            "await self.queue.get()",
        )
        return self._inserted(self._choose.choice(waits))

    def _without_statement(self) -> Files:
        found = self._function()
        if found is None:
            return {}
        path, lines, function = found
        gone = self._choose.choice(function.body)
        if len(function.body) < 2 or gone.lineno == function.lineno or gone.end_lineno is None:
            return {}
        del lines[gone.lineno - 1 : gone.end_lineno]
        return {path: "".join(lines)}

    def _with_constant(self) -> Files:
        path, text, tree = self._parsed()
        numbers = [
            each for each in ast.walk(tree) if isinstance(each, ast.Constant) and type(each.value) is int
        ]
        if not numbers:
            return {}
        chosen = self._choose.choice(numbers)
        lines = text.splitlines(keepends=True)
        line = lines[chosen.lineno - 1].encode()
        changed = (
            line[: chosen.col_offset] + b"%d" % self._choose.randint(0, 99) + line[chosen.end_col_offset :]
        )
        lines[chosen.lineno - 1] = changed.decode()
        return {path: "".join(lines)}

    def _with_parameter(self) -> Files:
        found = self._function()
        if found is None:
            return {}
        path, lines, function = found
        line = lines[function.lineno - 1]
        if "):" not in line and ") ->" not in line:
            return {}
        before, bracket, after = line.partition(")")
        comma = "" if before.endswith("(") else ", "
        lines[function.lineno - 1] = f"{before}{comma}added{self._count}=None{bracket}{after}"
        return {path: "".join(lines)}

    def _with_import(self) -> Files:
        path, text, _ = self._parsed()
        other = self._choose.choice(sorted(self._modules())).removesuffix(".py").replace("/", ".")
        lines = (
            "import asyncio as renamed",
            f"from {other} import *",
            f"import {other}",
            "from asyncio import wait",
        )
        return {path: f"{self._choose.choice(lines)}\n{text}" if "__future__" not in text else text}

    def _without_import(self) -> Files:
        path, text, tree = self._parsed()
        imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        if not imports:
            return {}
        gone = self._choose.choice(imports)
        lines = text.splitlines(keepends=True)
        del lines[gone.lineno - 1 : gone.end_lineno]
        return {path: "".join(lines)}

    def _a_name(self) -> str:
        """The name of some function."""
        found = self._function()
        return "run" if found is None else found[2].name

    def _with_subclass(self) -> Files:
        path, text, tree = self._parsed()
        classes = [each for each in tree.body if isinstance(each, ast.ClassDef)]
        if not classes:
            return {}
        base, method = self._choose.choice(classes).name, self._a_name()
        added = f"\n\nclass Derived{self._count}({base}):\n    async def {method}(self, *args):\n"
        return {path: f"{text}{added}        return await super().{method}(*args)\n"}

    def _with_caller(self) -> Files:
        path, text, _ = self._parsed()
        source, _, tree = self._parsed()
        functions = [
            each.name for each in tree.body if isinstance(each, ast.AsyncFunctionDef | ast.FunctionDef)
        ]
        if not functions:
            return {}
        name, module = self._choose.choice(functions), source.removesuffix(".py").replace("/", ".")
        head = f"\n\nasync def caller{self._count}(given):\n    import asyncio\n"
        body = f"    from {module} import {name}\n    await asyncio.wait_for({name}(given), 1)\n"
        return {path: f"{text}{head}{body}    await given.read()\n"}

    def _with_comment(self) -> Files:
        path, text, _ = self._parsed()
        lines = text.splitlines(keepends=True)
        place = self._choose.randint(0, len(lines))
        code = self._choose.choice(("CAN101", "CAN201", "CAN102", "CAN999"))
        if place and not lines[place - 1].rstrip().endswith(("\\", '"', ",")):
            lines[place - 1] = lines[place - 1].rstrip("\n") + f"  # cancellint: ignore[{code}]\n"
        return {path: "".join(lines)}

    def _broken(self) -> Files:
        path, text = self._choose.choice(sorted(self._modules().items()))
        return {path: text.removesuffix("\ndef (\n") if text.endswith("\ndef (\n") else text + "\ndef (\n"}

    def _without_module(self) -> Files:
        if len(self._modules()) > 3:
            path = self._choose.choice(sorted(self._modules()))
            self._deleted[path] = self._texts.pop(path)
        return {}

    def _with_deleted(self) -> Files:
        if not self._deleted:
            return {}
        path = self._choose.choice(sorted(self._deleted))
        return {path: self._deleted.pop(path)}

    def _with_table(self) -> Files:
        modules = [path.removesuffix(".py").replace("/", ".") for path in sorted(self._modules())]
        name = self._choose.choice((f"{self._choose.choice(modules)}.{self._a_name()}", "asyncio.sleep"))
        role = self._choose.choice(("blocks", "starts-task", "completes"))
        return {"own.toml": TABLE.format(name=name, role=role)}

    def _with_settings(self) -> Files:
        settings = [
            'min-confidence = "possible"',
            'ignore = ["CAN1"]',
            'assume-raced = "public"',
        ]
        chosen = [each for each in settings if self._choose.random() < 0.5]
        if "own.toml" in self._texts:
            chosen.append('knowledge = ["own.toml"]')
        return {"cancellint.toml": "\n".join(chosen) + "\n"}


def _print_difference(each: Difference) -> None:
    mine, theirs = set(each.held.splitlines()), set(each.fresh.splitlines())
    for sign, lines in (("-", mine - theirs), ("+", theirs - mine)):
        for line in sorted(lines)[:10]:
            print(f"  {sign} {line.strip()}")


if __name__ == "__main__":
    sys.exit(main())
