"""The scripts that count findings, draw a sample of them and read the verdicts back."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
judged, newest, reports = map(import_module, ("judged", "newest", "reports"))

MODULE = """\
import asyncio


async def work():
    raise OSError(await asyncio.sleep(1))


async def start():
    asyncio.create_task(work())
    print("async def is counted at the beginning of a line only")
"""


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with one package in it, of which one task is dropped."""
    tree = tmp_path / "packages" / "runner"
    tree.mkdir(parents=True)
    (tree / "pyproject.toml").write_text('[project]\nname = "runner"\nversion = "1.2"\n', "utf-8")
    (tree / "runner.py").write_text(MODULE, "utf-8")
    return tree.parent


def finding(line: int, confidence: str = "certain") -> str:
    keys = {"package": "runner", "version": "1.2", "path": "runner.py", "line": line, "column": 5}
    said = {"code": "CAN401", "name": "dropped-task", "message": "gone", "symbol": "start"}
    note = {"path": "runner.py", "line": 4, "symbol": "work", "message": "awaits here"}
    return json.dumps(keys | said | {"confidence": confidence, "notes": [note]}) + "\n"


def test_density_counts_findings_per_thousand_async_functions(packages: Path, tmp_path: Path) -> None:
    table = run("density.py", packages / "runner", "--findings", tmp_path / "found.jsonl")

    row = re.search(r"(?m)^runner +1\.2 +1 +2 +0 +1 +0 +500\.0 .*$", table)
    assert row
    assert row[0].endswith("CAN401 0/1/0")
    kept = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text("utf-8").splitlines()]
    assert [(each["package"], each["version"], each["line"]) for each in kept] == [("runner", "1.2", 9)]


def test_a_finding_that_goes_away_leaves_the_others_in_the_sample(packages: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.jsonl"
    found.write_text("".join(finding(line) for line in range(1, 10)), "utf-8")
    run("sample.py", found, packages, tmp_path / "before", "--most", 4)
    before = tomllib.loads((tmp_path / "before" / "drawn.toml").read_text("utf-8"))
    away = next(iter(before.values()))["line"]
    found.write_text("".join(finding(line) for line in range(9, 0, -1) if line != away), "utf-8")
    run("sample.py", found, packages, tmp_path / "after", "--most", 4)
    after = tomllib.loads((tmp_path / "after" / "drawn.toml").read_text("utf-8"))

    assert (len(before), len(after)) == (4, 4)
    assert len(before.keys() & after.keys()) == 3


def test_a_sheet_shows_code_and_notes_but_no_confidence(packages: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.jsonl"
    found.write_text(finding(9), "utf-8")
    run("sample.py", found, packages, tmp_path / "sheets")

    sheet = (tmp_path / "sheets" / "sheet.md").read_text("utf-8")
    assert ">    9      asyncio.create_task(work())" in sheet
    assert "* runner.py:4 in `work`: awaits here" in sheet
    assert "certain" not in sheet


def test_verdicts_become_precision_disagreement_and_records(packages: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.jsonl"
    found.write_text(finding(5) + finding(9) + finding(8, "likely"), "utf-8")
    sheets = tmp_path / "sheets"
    run("sample.py", found, packages, sheets)
    drawn = tomllib.loads((sheets / "drawn.toml").read_text("utf-8"))
    numbers = {row["line"]: number for number, row in drawn.items()}
    said = '["{}"]\nverdict = "{}"\nwhy = "seen"\n'
    (sheets / "first.toml").write_text(
        said.format(numbers[5], "false") + said.format(numbers[9], "true"), "utf-8"
    )
    (sheets / "second.toml").write_text(said.format(numbers[9], "harmless"), "utf-8")

    table = run("judged.py", sheets)
    assert re.search(r"(?m)^CAN401 +certain +2 +2 +1 +0 +1 +50% +1 +100%  judge again$", table)
    assert re.search(r"(?m)^CAN401 +likely +1 +0 +0 +0 +0 +- +0 +-$", table)
    records = tomllib.loads(run("judged.py", sheets, "--records"))["finding"]
    assert {(each["line"], each["verdict"]) for each in records} == {(5, "false"), (9, "true")}
    assert [each.get("judges") for each in records if each["line"] == 9] == [["true", "harmless"]]


def test_the_pinned_packages_are_many_and_mostly_unseen() -> None:
    pinned = tomllib.loads((BENCHMARKS / "packages.toml").read_text("utf-8"))["package"]

    assert len({each["name"] for each in pinned}) == len(pinned) >= 30
    assert sum(not each["seen"] for each in pinned) >= 12


def test_the_interval_of_a_part_is_wilsons():
    """Figures of Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29."""
    pairs = [judged.wilson(*each) for each in ((81, 263), (15, 148), (0, 20), (1, 29))]

    assert [tuple(round(each, 4) for each in pair) for pair in pairs] == [
        (0.2553, 0.3662),
        (0.0624, 0.1605),
        (0.0, 0.1611),
        (0.0061, 0.1718),
    ]


def test_an_archive_is_unpacked_with_what_it_says_of_itself(tmp_path):
    wheel = tmp_path / "a-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/__init__.py", "async def f(): ...\n")
        archive.writestr("a/data.bin", "x")
        archive.writestr("../outside.py", "x")
        archive.writestr("a-1.2.dist-info/METADATA", "Name: a\nVersion: 1.2\nRequires-Python: >=3.9\n")

    newest.unpack(wheel, tmp_path / "tree")

    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()) == [
        "a-1.2-py3-none-any.whl",
        "tree/a/__init__.py",
        "tree/pyproject.toml",
    ]
    assert 'version = "1.2"' in (tmp_path / "tree/pyproject.toml").read_text()


def test_a_package_without_coroutines_is_left_out(tmp_path):
    (tmp_path / "a.py").write_text("def f(): ...\n")

    with pytest.raises(newest.LeftOut, match="no async function"):
        newest.check(tmp_path)


def test_the_log_of_public_reports_is_well_formed() -> None:
    log = reports.reports()

    assert len({each.address for each in log}) == len(log)
    for each in log:
        assert re.fullmatch(r"https://github\.com/[^/]+/[^/]+/(issues|pull)/\d+", each.address), each.address
        assert re.fullmatch(r"CAN[1-8]\d\d|none", each.rule), each.address
        assert all(re.fullmatch(r"[\w/]+\.py:[\w.]+", place) for place in each.places), each.address
        assert each.buggy != each.fixed, each.address
        for found, fixed in ((each.first, each.first_fixed), (each.now, each.now_fixed)):
            assert found in reports.FOUND, each.address
            assert fixed in reports.FIXED, each.address
            assert (found == reports.MISSED) == (fixed == reports.NOTHING_TO_MEND), each.address


def test_a_report_is_found_at_its_place_and_mended_where_nothing_is_said() -> None:
    (report, *_) = reports.reports()
    file, _, function = report.places[0].partition(":")
    there = {
        "code": report.rule,
        "path": f"src/{file}",
        "symbol": f"{function}.inner",
        "confidence": "likely",
    }

    assert reports.found(report, [there]) == "likely"
    assert reports.found(report, [there | {"symbol": f"{function}_else"}]) == "missed"
    assert reports.found(report, [there | {"code": "CAN000"}]) == "missed"
    assert reports.found(report, [there, there | {"confidence": "certain"}]) == "certain"


def test_recording_what_is_found_now_leaves_the_first_figures() -> None:
    log = reports.LOG.read_text("utf-8")
    (one, *_) = reports.reports()

    written = reports.recorded(log, [reports.replace(one, now="certain", now_fixed="reported")])

    (row, *others) = tomllib.loads(written)["report"]
    assert (row["now"], row["now_fixed"]) == ("certain", "reported")
    assert (row["first"], row["first_fixed"]) == (one.first, one.first_fixed)
    assert others == tomllib.loads(log)["report"][1:]


def test_ratios_are_measured_and_sizes_drawn(tmp_path: Path) -> None:
    tree, plot = tmp_path / "tree", tmp_path / "sizes.svg"
    tree.mkdir()
    for number in range(8):
        (tree / f"module{number}.py").write_text(MODULE * 8)

    said = run(
        "ratios.py",
        tree,
        "--repeat",
        1,
        "--only",
        "peak,edits,sizes",
        "--edit",
        tree / "module1.py",
        "--plot",
        plot,
    )

    assert re.search(r"peak of a cold check: [1-9]\d* MB", said)
    assert re.search(r"module1.py edited: all files \d+\.\d\d s, it alone", said)
    assert re.search(r"exponents: time -?\d\.\d\d, memory", said)
    assert plot.read_text().count("<circle") == 12
