"""The scripts that run real packages, and other tools, beside the injector."""

import asyncio
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cancellint.testing import Injection, cancel_at_every_suspension

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
confirm, five = map(import_module, ("confirm", "five"))

PAGE = """\
## other 1.0: not this one

```diff
--- other.py
+++ other.py
@@ -1 +1 @@
-a
+b
```

## runner 1.2: it runs

```diff
--- runner/one.py
+++ runner/one.py
@@ -1,3 +1,3 @@
 try:
-    work()
+    work(now=True)

@@ -9 +9,2 @@
+import os
 import sys
--- runner/two.py
+++ runner/two.py
@@ -1 +1 @@
-x = 1
+x = 2
```
"""


def test_the_change_that_a_section_shows_is_read_hunk_by_hunk() -> None:
    assert list(confirm.hunks(PAGE, "runner 1.2")) == [
        ("runner/one.py", "try:\n    work()\n\n", "try:\n    work(now=True)\n\n"),
        ("runner/one.py", "import sys\n", "import os\nimport sys\n"),
        ("runner/two.py", "x = 1\n", "x = 2\n"),
    ]


def test_a_change_is_made_in_a_copy_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "other-1.0"
    tree.mkdir()
    (tree / "other.py").write_text("a\n")
    monkeypatch.setattr(confirm, "FOUND", tmp_path / "found.md")
    confirm.FOUND.write_text(PAGE)

    assert (confirm.changed(tree, "other 1.0") / "other.py").read_text() == "b\n"
    assert (tree / "other.py").read_text() == "a\n"
    with pytest.raises(confirm.Unusable, match="is not as"):
        confirm.changed(tree, "runner 1.2")
    with pytest.raises(confirm.Unusable, match="shows no change"):
        confirm.changed(tree, "runner 1.3")


def test_every_scenario_has_its_releases_and_every_section_a_change() -> None:
    scenarios = {path.stem for path in confirm.SCENARIOS.glob("*.py") if "injection" in path.read_text()}
    page = confirm.FOUND.read_text("utf-8")

    assert {case.scenario for case in confirm.CASES} == scenarios
    assert sum(bool(case.sound) for case in confirm.CASES) >= 5
    assert sum(bool(case.section) for case in confirm.CASES) >= 5
    for case in confirm.CASES:
        assert bool(case.sound) is not bool(case.section)
        assert not case.section or all(old != new for _, old, new in confirm.hunks(page, case.section))


def test_the_page_has_the_result_of_every_scenario() -> None:
    page = (BENCHMARKS.parent / "docs" / "confirmed.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (\w+) \|.*\| (\d+) of \d+ \|$", page, re.MULTILINE))

    assert rows == {case.scenario: str(case.left) for case in confirm.CASES}


def test_the_redis_client_that_is_installed_gives_nobody_the_reply_of_another() -> None:
    done = subprocess.run(
        [sys.executable, str(confirm.SCENARIOS / "run.py"), "redis_reply"],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["broken"] == 0


def is_safe(make: "type[five.Program]") -> bool:
    async def scenario(injection: Injection) -> bool:
        program = make()
        await injection.attempt(program.operate)
        return await program.verify()

    return cancel_at_every_suspension(scenario).is_safe


@pytest.mark.parametrize("name", five.FIVE)
def test_of_the_five_programs_three_break_under_one_cancellation_and_no_cured_one_does(name: str) -> None:
    broken, cured = five.FIVE[name]

    assert is_safe(broken) is (name in ("locks in both orders", "a second cancellation"))
    assert is_safe(cured)


def test_two_of_the_five_programs_break_otherwise() -> None:
    async def audited_early() -> bool:
        locks = five.Locks()
        both = asyncio.gather(locks.bank.book(5), locks.bank.audit())
        return await five.in_time(both)

    async def cancelled_twice() -> bool:
        farewell = five.Farewell()
        leaving = asyncio.create_task(farewell.operate())
        for _ in range(2):
            await asyncio.sleep(0)
            leaving.cancel()
        await asyncio.wait({leaving})
        return await farewell.verify()

    assert not asyncio.run(audited_early())
    assert not asyncio.run(cancelled_twice())
