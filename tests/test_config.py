"""The configuration, its defaults and its error messages."""

from pathlib import Path

import pytest
from packaging.version import Version

from cancellint.config import KEYS, AssumeRaced, Config, ConfigError, Profile, load, origins, values
from cancellint.model.finding import Confidence, Severity


def project(root: Path, text: str, own: str | None = None) -> Path:
    (root / "pyproject.toml").write_text(text)
    if own is not None:
        (root / "cancellint.toml").write_text(own)
    return root


def test_no_configuration_means_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)

    assert config == Config(root=tmp_path)
    assert config.weakest_shown is Confidence.LIKELY


def test_every_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    project(
        tmp_path,
        """
        [tool.cancellint]
        select = ["CAN1", "thread-lock-across-await"]
        extend-select = ["CAN301"]
        ignore = ["CAN105"]
        per-file-ignores = { "tests/" = ["CAN2"], "*.pyi" = [] }
        severity = { CAN201 = "warning" }
        exclude = ["vendor/"]
        target-version = "3.11"
        knowledge = ["mine.toml"]
        assume-raced = "public"
        min-confidence = "certain"
        profile = "pedantic"
        """,
    )

    assert load(tmp_path) == Config(
        root=tmp_path,
        select=("CAN1", "thread-lock-across-await"),
        extend_select=("CAN301",),
        ignore=("CAN105",),
        per_file_ignores=(("tests/", ("CAN2",)), ("*.pyi", ())),
        severity=(("CAN201", Severity.WARNING),),
        exclude=("vendor/",),
        target_version=Version("3.11"),
        knowledge=(tmp_path / "mine.toml",),
        assume_raced=AssumeRaced.PUBLIC,
        min_confidence=Confidence.CERTAIN,
        profile=Profile.PEDANTIC,
    )


def test_a_file_of_its_own_goes_before_pyproject(tmp_path: Path) -> None:
    project(tmp_path, "[tool.cancellint]\nselect = ['CAN1']\n", own="select = ['CAN2']\n")

    assert load(tmp_path).select == ("CAN2",)


@pytest.mark.parametrize(
    ("requires", "target"),
    [
        (">=3.9", "3.14"),
        (">=3.9,<3.13", "3.12"),
        ("~=3.10.0", "3.10"),
        ("<3.0", "3.14"),
        ("nonsense", "3.14"),
    ],
)
def test_the_target_is_the_newest_python_that_the_project_supports(
    tmp_path: Path, requires: str, target: str
) -> None:
    project(tmp_path, f'[project]\nname = "x"\nrequires-python = "{requires}"\n')

    assert load(tmp_path).target_version == Version(target)


def test_pedantic_shows_possible_findings_unless_told_otherwise(tmp_path: Path) -> None:
    project(tmp_path, "[tool.cancellint]\nprofile = 'pedantic'\n")
    assert load(tmp_path).weakest_shown is Confidence.POSSIBLE

    project(tmp_path, "[tool.cancellint]\nprofile = 'pedantic'\nmin-confidence = 'likely'\n")
    assert load(tmp_path).weakest_shown is Confidence.LIKELY


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("selct = []", "`tool.cancellint.selct` is not a setting; did you mean `select`?"),
        ("target_version = '3.12'", "did you mean `target-version`?"),
        ("qqqq = 1", "`tool.cancellint.qqqq` is not a setting"),
        ("select = 'CAN1'", 'must be a list of strings, not "CAN1"'),
        ("exclude = [1]", "must be a list of strings, not [1]"),
        ("target-version = 'py312'", 'must be a version such as "3.12", not "py312"'),
        ("target-version = 3.12", "must be a string, not 3.12"),
        ("target-version = '4.12'", "did you mean `3.12`?"),
        ("assume-raced = 'publik'", 'must be one of none, public, not "publik"; did you mean `public`?'),
        ("min-confidence = 'sure'", 'must be one of certain, likely, possible, not "sure"'),
        ("profile = 'pedant'", "did you mean `pedantic`?"),
        ("per-file-ignores = ['CAN1']", "must be a table, not ['CAN1']"),
        (
            "per-file-ignores = {'a' = 'CAN1'}",
            "`tool.cancellint.per-file-ignores.a` must be a list of strings",
        ),
        ("per-file-ignores = {'!' = ['CAN1']}", 'has "!", which is no pattern as in .gitignore'),
        (
            "severity = {CAN1 = 'errror'}",
            'must be one of error, warning, not "errror"; did you mean `error`?',
        ),
        ("knowledge = ['gone.toml']", 'names "gone.toml", and there is no file'),
    ],
)
def test_a_mistake_names_the_key_and_the_nearest_valid_one(
    tmp_path: Path, setting: str, message: str
) -> None:
    project(tmp_path, f"[tool.cancellint]\n{setting}\n")

    with pytest.raises(ConfigError) as raised:
        load(tmp_path)

    assert message in str(raised.value)
    assert str(tmp_path / "pyproject.toml") in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[tool", "pyproject.toml"), ("tool.cancellint = 1", "`tool.cancellint` must be a table")],
)
def test_a_file_that_is_no_configuration_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    project(tmp_path, text)

    with pytest.raises(ConfigError, match=message):
        load(tmp_path)


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cancellint.toml").write_bytes(b"# \xff\n")

    with pytest.raises(ConfigError, match="is not UTF-8 at byte 2"):
        load(tmp_path)


def test_every_setting_has_a_value_and_an_origin(tmp_path: Path) -> None:
    config = load(project(tmp_path, "[tool.cancellint]\nselect = ['CAN1']\n"))

    assert set(values(config)) == set(origins(tmp_path)) == set(KEYS)


@pytest.mark.parametrize(
    ("text", "own", "origin"),
    [
        ("", None, ("default", "default")),
        ("[tool.cancellint]\nignore = []\ntarget-version = '3.12'\n", None, ("pyproject.toml",) * 2),
        ("[tool.cancellint]\nselect = []\n", "ignore = []\n", ("cancellint.toml", "default")),
        (
            "[project]\nrequires-python = '>=3.9'\n",
            None,
            ("default", "requires-python in pyproject.toml"),
        ),
    ],
)
def test_where_a_value_comes_from(
    tmp_path: Path, text: str, own: str | None, origin: tuple[str, str]
) -> None:
    found = origins(project(tmp_path, text, own))

    assert (found["ignore"], found["target-version"]) == origin
