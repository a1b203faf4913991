"""Rules of a project's own: those of the page, how they are run, and when they are not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cancellint.api import Mistake, check
from cancellint.config import Config, load
from cancellint.own_pages import check_pages
from cancellint.own_rules import OwnRuleError, stated
from cancellint.selection import catalogue
from tests.test_ci import bash, environment

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "own-rules.md").read_text("utf-8")

SHOP = {
    "shop/__init__.py": "",
    "shop/stock.py": "class Stock:\n    async def ask(self, name: str, limit: int = 0) -> int: ...\n",
    "shop/basket.py": (
        "from shop.stock import Stock\n\n\n"
        "async def price(stock: Stock) -> int:\n    return await stock.ask('a')\n"
    ),
}


def files_of_the_page() -> dict[str, str]:
    """The blocks of the page that say which file they are."""
    found: dict[str, str] = {}
    for mark, language, text in re.findall(r"(?ms)^(`{3,4})(\w+)\n(.*?)^\1$", PAGE):
        if mark == "````":
            found["lint/call-without-limit.md"] = text
        elif language in ("python", "toml"):
            name, _, rest = text.partition("\n")
            found[name.removeprefix("# ")] = rest
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, text in (files_of_the_page() | SHOP).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


# --------------------------------------------------------------------------- the page


def test_the_rule_of_the_page_finds_what_it_says(project: Path) -> None:
    (found,) = check([project], own_rules=True).findings

    assert (found.code, found.name, found.place.symbol) == ("SHOP001", "call-without-limit", "price")
    assert found.help == "give the call a `limit`"
    assert [note.message for note in found.notes] == ["a customer waits for this function"]


def test_the_commands_of_the_page_run(project: Path) -> None:
    (commands,) = re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE)
    variables = environment(project.parent)
    found = {line: bash(line, project, variables) for line in commands.splitlines()}

    assert [each.returncode for each in found.values()] == [1, 0, 0]
    assert "error[SHOP001] call-without-limit: " in found["cancellint check --own-rules"].stdout
    assert re.search(r"(?m)^SHOP001 +call-without-limit +error", found["cancellint rules"].stdout)
    assert "whatever the object or its class is called" in found["cancellint explain SHOP001"].stdout


def test_the_test_of_the_page_passes_and_can_fail(project: Path) -> None:
    def tested() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "tests"],
            cwd=project,
            capture_output=True,
            text=True,
        )

    assert tested().returncode == 0
    page = project / "lint" / "call-without-limit.md"
    page.write_text(page.read_text().replace('  # want SHOP001 "for ever"', "", 1))
    assert "not wanted: shop/basket.py" in tested().stdout


def test_the_page_tells_of_everything_a_rule_may_ask() -> None:
    from cancellint.own import Call, Function

    offered = {name for kind in (Call, Function) for name in vars(kind) if not name.startswith("_")}
    told = re.findall(r"`(\w+)(?:\(.*?\))?`", "\n".join(re.findall(r"(?m)^\| (`.*?) \|", PAGE)))

    assert offered <= {*told}


# --------------------------------------------------------------------------- consent


def test_a_configuration_alone_runs_nothing(project: Path) -> None:
    canary = project / "run.txt"
    put(project / "lint", "spy.py", f"open({str(canary)!r}, 'w').close()\n")

    report = check([project])
    with pytest.raises(Mistake, match="contradict"):
        check([project], own_rules=True, isolated=True)
    isolated = check([project], isolated=True)

    assert not canary.exists()
    assert report.findings == isolated.findings == ()
    assert any("run only with --own-rules" in each for each in report.warnings)
    assert isolated.warnings == ()
    check([project], own_rules=True)
    assert canary.exists()


def test_what_is_not_run_is_known_all_the_same(project: Path) -> None:
    put(
        project,
        "cancellint.toml",
        'own-rules = ["lint"]\nignore = ["SHOP"]\nseverity = {SHOP001 = "warning"}\n',
    )
    basket = project / "shop" / "basket.py"
    basket.write_text(basket.read_text().replace("ask('a')", "ask('a')  # cancellint: ignore[SHOP001]"))

    assert check([project]).findings == ()


def test_own_rules_are_chosen_and_silenced_as_all_others(project: Path) -> None:
    basket = project / "shop" / "basket.py"
    put(project, "cancellint.toml", 'own-rules = ["lint"]\nseverity = {call-without-limit = "warning"}\n')

    (found,) = check([project], own_rules=True, select=["SHOP"]).findings
    assert found.severity == "warning"
    assert check([project], own_rules=True, ignore=["SHOP001"]).findings == ()
    basket.write_text(basket.read_text().replace("ask('a')", "ask('a')  # cancellint: ignore[SHOP001]"))
    assert check([project], own_rules=True).findings == ()
    basket.write_text(basket.read_text().replace("ask('a')", "ask('a', limit=1)"))
    assert [each.code for each in check([project], own_rules=True).findings] == ["CAN002"]


def test_every_format_tells_of_own_rules(project: Path) -> None:
    from cancellint.api import FORMATS, render

    report = check([project], own_rules=True)
    for each in FORMATS:
        assert "SHOP001" in render(report, each)
    (run,) = json.loads(render(report, "sarif"))["runs"]
    (rule,) = (each for each in run["tool"]["driver"]["rules"] if each["id"] == "SHOP001")
    assert "Stock.ask" in rule["help"]["markdown"] + rule["fullDescription"]["text"]
    assert "helpUri" not in rule


def test_a_report_is_not_taken_over_once_a_rule_has_changed(project: Path) -> None:
    variables = environment(project.parent)
    first = bash("cancellint check --own-rules", project, variables)
    rule = project / "lint" / "call_without_limit.py"
    rule.write_text(rule.read_text().replace("may take for ever", "is slow"))
    second = bash("cancellint check --own-rules", project, variables)

    assert "may take for ever" in first.stdout
    assert "is slow" in second.stdout


# --------------------------------------------------------------------------- mistakes

RULE = '''\
from cancellint.own import Severity, rule


@rule({arguments})
def {name}(function):
    """Something."""
    {body}
'''


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('"CAN999"', "not `CAN…`"),
        ('"app1"', "not `CAN…`"),
        ("CODE", "not `CAN…`"),
        ("", "not `CAN…`"),
        ('"APP1", Severity.FATAL', "the severity is"),
        ('"APP1", severity="error"', "the severity is"),
    ],
)
def test_a_rule_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, arguments: str, problem: str
) -> None:
    put(tmp_path, "a.py", RULE.format(arguments=arguments, name="a", body="return iter(())"))

    with pytest.raises(OwnRuleError, match=re.escape(problem)) as told:
        stated((tmp_path,))
    assert str(told.value).startswith(f"{tmp_path / 'a.py'}:4: ")


def test_two_rules_of_one_code_or_name_are_a_mistake(tmp_path: Path) -> None:
    put(tmp_path, "a.py", RULE.format(arguments='"APP1"', name="a", body="return iter(())"))
    put(tmp_path, "b.py", RULE.format(arguments='"APP1"', name="b", body="return iter(())"))
    with pytest.raises(OwnRuleError, match="code `APP1`"):
        stated((tmp_path,))
    put(tmp_path, "b.py", RULE.format(arguments='"APP2"', name="a", body="return iter(())"))
    with pytest.raises(OwnRuleError, match="name `a`"):
        stated((tmp_path,))


@pytest.mark.parametrize("text", ["def f(:\n", "raise ValueError('no')\n", "import nothing_like_it\n"])
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "lint").mkdir()
    put(tmp_path / "lint", "a.py", text)
    put(tmp_path, "cancellint.toml", 'own-rules = ["lint"]\n')

    with pytest.raises(OwnRuleError, match=r"a\.py"):
        check([tmp_path], own_rules=True)


def test_a_rule_that_fails_is_named_and_the_others_go_on(project: Path) -> None:
    put(project / "lint", "a.py", RULE.format(arguments='"APP1"', name="a", body="raise ValueError('no')"))

    report = check([project], own_rules=True)

    assert report.failures
    assert all("the project's own rule APP1 failed: ValueError: no" in each.error for each in report.failures)


@pytest.mark.parametrize(
    ("value", "problem"),
    [('["nowhere"]', "there is no such folder"), ('["../.."]', "lies outside of"), ("1", "must be a list")],
)
def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, value: str, problem: str) -> None:
    from cancellint.config import ConfigError

    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    put(folder, "cancellint.toml", f"own-rules = {value}\n")

    with pytest.raises(ConfigError, match=problem):
        load(folder)


def test_pages_are_held_to_their_rules(tmp_path: Path) -> None:
    body = "yield function.problem('x')"
    put(tmp_path, "a.py", RULE.format(arguments='"APP1"', name="a", body=body))
    assert check_pages(tmp_path) == ["a.md: APP1 a has no page"]
    put(tmp_path, "a.md", "# b (APP1)\n")
    put(tmp_path, "c.md", "# c (APP3)\n")
    assert check_pages(tmp_path) == [
        "a.md:1: the page does not begin with `# a (APP1)`",
        "a.md: there must be an example with `# want APP1` and one without",
        "c.md: no rule has this page",
    ]


def test_the_catalogue_has_own_rules_only_where_they_are_configured(project: Path) -> None:
    config = load(project)

    assert [each.code for each in catalogue(config) if each.code.startswith("SHOP")] == ["SHOP001"]
    assert catalogue(Config(root=project)) == catalogue()
