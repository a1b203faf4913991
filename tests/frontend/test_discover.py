"""Which files are read, which are reported on, and what they are called."""

import os
import sys
from pathlib import Path

import pytest

from cancellint.frontend.discover import Source, Stdin, discover, project_root


def tree(root: Path, *names: str, **texts: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for name, text in texts.items():
        (root / name).write_text(text)
    return root


def read(root: Path, sources: tuple[Source, ...]) -> list[str]:
    return [source.path.relative_to(root).as_posix() for source in sources]


def names(sources: tuple[Source, ...]) -> dict[str, str]:
    return {
        source.path.name if source.path.name != "__init__.py" else source.path.parent.name: source.module
        for source in sources
    }


@pytest.mark.parametrize("marker", ["pyproject.toml", "cancellint.toml"])
def test_the_project_begins_at_the_nearest_marker_above(tmp_path: Path, marker: str) -> None:
    tree(tmp_path, "pyproject.toml", f"inner/{marker}", "inner/pkg/a.py")

    assert project_root(tmp_path / "inner/pkg/a.py") == tmp_path / "inner"
    assert project_root(tmp_path / "inner") == tmp_path / "inner"


def test_the_project_is_read_and_the_arguments_are_reported_on(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "pkg/__init__.py", "pkg/a.py", "pkg/b.py", "other.py")

    sources = discover([tmp_path / "pkg/a.py"])

    assert read(tmp_path, sources) == ["other.py", "pkg/__init__.py", "pkg/a.py", "pkg/b.py"]
    assert [source.module for source in sources if source.is_reported] == ["pkg.a"]


def test_a_folder_without_a_project_around_it_is_its_own_project(tmp_path: Path) -> None:
    tree(tmp_path, "beside.py", "folder/a.py", "folder/deep/b.py")
    if project_root(tmp_path) != tmp_path:
        pytest.fail("the temporary folder lies inside a project, which this test cannot use")

    assert read(tmp_path, discover([tmp_path / "folder"])) == ["folder/a.py", "folder/deep/b.py"]


def test_environments_caches_and_build_output_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "env/pyvenv.cfg", "env/lib/x.py", "build/lib/a.py", "dist/a.py")
    tree(
        tmp_path,
        "node_modules/x/y.py",
        ".tox/py/x.py",
        ".nox/x.py",
        "__pycache__/a.py",
        "x/site-packages/y.py",
    )

    assert read(tmp_path, discover([tmp_path])) == ["a.py"]


def test_a_package_called_build_is_code(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "pkg/__init__.py", "pkg/build/__init__.py", "pkg/build/a.py")

    assert "pkg/build/a.py" in read(tmp_path, discover([tmp_path]))


@pytest.mark.parametrize("argument", ["env/lib/site-packages/lib", "env/lib/site-packages/lib/a.py"])
def test_an_argument_inside_an_excluded_folder_is_read_with_its_package(
    tmp_path: Path, argument: str
) -> None:
    tree(tmp_path, "pyproject.toml", "mine.py", "env/pyvenv.cfg", "env/lib/site-packages/lib/__init__.py")
    tree(tmp_path, "env/lib/site-packages/lib/a.py", "env/lib/site-packages/other/b.py")

    sources = discover([tmp_path / argument])

    assert names(sources) == {"lib": "lib", "a.py": "lib.a"}


def test_ignore_files_are_honoured_nested_and_negated(tmp_path: Path) -> None:
    tree(
        tmp_path,
        ".git/HEAD",
        "a.py",
        "gen/a.py",
        "pkg/gen/b.py",
        "pkg/keep_x.py",
        "pkg/drop_x.py",
        "pkg/c.py",
    )
    (tmp_path / ".gitignore").write_text("/gen/\n*_x.py\n")
    (tmp_path / "pkg/.gitignore").write_text("!keep_x.py\nc.py\n")

    assert read(tmp_path, discover([tmp_path])) == ["a.py", "pkg/gen/b.py", "pkg/keep_x.py"]


def test_an_ignore_file_above_the_project_counts_up_to_the_repository(tmp_path: Path) -> None:
    tree(tmp_path, ".git/HEAD", "part/pyproject.toml", "part/a.py", "part/generated.py")
    (tmp_path / ".gitignore").write_text("generated.py\n")

    assert read(tmp_path, discover([tmp_path / "part"])) == ["part/a.py"]


def test_a_file_named_as_an_argument_is_read_though_ignored(tmp_path: Path) -> None:
    tree(tmp_path, ".git/HEAD", "a.py", "b.py")
    (tmp_path / ".gitignore").write_text("*.py\n")

    assert read(tmp_path, discover([tmp_path / "a.py"])) == ["a.py"]


def test_configured_exclusions_are_patterns_from_the_project_root(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "vendor/x.py", "pkg/vendor/y.py")

    assert read(tmp_path, discover([tmp_path], ["/vendor"])) == ["a.py", "pkg/vendor/y.py"]


def test_links_in_circles_and_broken_links_end(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "pkg/a.py")
    (tmp_path / "pkg/around").symlink_to(tmp_path)
    (tmp_path / "pkg/self").symlink_to(tmp_path / "pkg/self")
    (tmp_path / "pkg/gone.py").symlink_to(tmp_path / "nowhere.py")

    assert read(tmp_path, discover([tmp_path])) == ["pkg/a.py"]


def test_a_linked_folder_keeps_its_own_name_where_it_has_one(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "zebra/a.py")
    (tmp_path / "alias").symlink_to(tmp_path / "zebra")

    assert read(tmp_path, discover([tmp_path])) == ["zebra/a.py"]


def test_what_links_lead_to_outside_of_the_project_is_read_only_where_it_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "project/pyproject.toml", "project/own/b.py", "elsewhere/a.py", "elsewhere/deep/c.py")
    (tmp_path / "project/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "project/link.py").symlink_to(tmp_path / "elsewhere/a.py")
    (tmp_path / "project/inner").symlink_to(tmp_path / "project/own")
    (tmp_path / "project/root").symlink_to("/")
    (tmp_path / "project/round").symlink_to(tmp_path / "project/round")

    def found(*arguments: str) -> list[str]:
        sources = discover([tmp_path / argument for argument in arguments])
        return [each for each in read(tmp_path, sources) if not each.endswith("own/b.py")]

    assert found("project") == []
    assert found("project/linked") == ["project/linked/a.py", "project/linked/deep/c.py"]
    assert found("project/linked/deep") == ["project/linked/deep/c.py"]
    assert found("project/link.py") == ["project/link.py"]


def test_a_folder_that_cannot_be_listed_is_told_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "closed/b.py", "open/c.py")
    list_folder = os.scandir

    def refusing(folder: str) -> object:
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", refusing)

    sources = discover([tmp_path])

    assert read(tmp_path, sources) == ["a.py", "closed", "open/c.py"]
    assert sources[1].error == "this folder cannot be read: Permission denied"
    assert sources[1].is_reported


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (None, "it is not a regular file"),
        ("a\n" * 6_000, "it has more than 5,000 lines"),
        ("x" * 1_100_000, "it is larger than 1 MB"),
        (
            "b.py\n" + "*a" * 600,
            "a pattern of this ignore file is not used: it has more than 1,000 characters",
        ),
    ],
)
def test_an_ignore_file_that_cannot_be_used_is_told(tmp_path: Path, lines: str | None, problem: str) -> None:
    tree(tmp_path, "pyproject.toml", "a.py")
    if lines is None:
        os.mkfifo(tmp_path / ".gitignore")
    else:
        (tmp_path / ".gitignore").write_text(lines)

    sources = discover([tmp_path])

    assert read(tmp_path, sources) == [".gitignore", "a.py"]
    assert problem in sources[0].error


def test_a_file_that_vanishes_is_told_not_raised(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml")

    (source,) = discover([tmp_path / "gone.py"])

    assert (source.data, source.error) == (None, f"this file cannot be read: {os.strerror(2)}")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_only_looks_like_a_source_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    tree(tmp_path, "pyproject.toml")
    if kind == "folder" or sys.platform == "win32":
        (tmp_path / "a.py").mkdir()
    else:
        os.mkfifo(tmp_path / "a.py")

    assert discover([tmp_path]) == ()


def test_packages_are_named_from_their_outermost_folder(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "pyproject.toml",
        "src/pkg/__init__.py",
        "src/pkg/sub/__init__.py",
        "src/pkg/sub/a.py",
        "tool.py",
    )
    tree(tmp_path, "src/space/part/b.py", "scripts/c.py")

    assert names(discover([tmp_path])) == {
        "pkg": "pkg",
        "sub": "pkg.sub",
        "a.py": "pkg.sub.a",
        "b.py": "space.part.b",
        "c.py": "scripts.c",
        "tool.py": "tool",
    }


def test_a_namespace_is_part_of_the_name_where_the_project_imports_it_so(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "one/space/core/__init__.py", "two/space/extra/__init__.py")
    (tmp_path / "one/space/core/a.py").write_text("from space.core.b import c\nimport core_things\n")
    (tmp_path / "two/space/extra/d.py").write_text("import space.extra, os\n")

    modules = [source.module for source in discover([tmp_path])]

    assert modules == ["space.core", "space.core.a", "space.extra", "space.extra.d"]


def test_a_folder_above_a_package_is_no_namespace_without_an_import(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "lib/pkg/__init__.py", "lib/pkg/a.py")
    (tmp_path / "lib/pkg/a.py").write_text("from pkg import b\n")

    assert [source.module for source in discover([tmp_path])] == ["pkg", "pkg.a"]


def test_two_packages_of_one_name_stay_apart_and_whole(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "pyproject.toml",
        "one/pkg/__init__.py",
        "one/pkg/a.py",
        "two/pkg/__init__.py",
        "two/pkg/a.py",
    )

    modules = [source.module for source in discover([tmp_path])]

    assert modules == ["pkg", "pkg.a", "two.pkg", "two.pkg.a"]


def test_names_are_unique_even_beside_a_package_of_the_same_name(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "a/__init__.py", "a/b.py")

    modules = [source.module for source in discover([tmp_path])]

    assert len(modules) == len(set(modules)) == 3


def test_standard_input_replaces_the_file_it_names(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "b.py")
    (tmp_path / "a.py").write_text("old")

    sources = discover([tmp_path / "a.py"], stdin=Stdin(tmp_path / "a.py", b"new"))

    assert [(source.module, source.data, source.is_reported) for source in sources] == [
        ("a", b"new", True),
        ("b", b"", False),
    ]


def test_standard_input_without_a_name_stands_alone(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "b.py")

    sources = discover([tmp_path / "x.py"], stdin=Stdin(tmp_path / "x.py", b"new", is_alone=True))

    assert [source.module for source in sources] == ["x"]


@pytest.mark.parametrize(
    ("name", "is_test"),
    [("tests/a.py", True), ("pkg/test/a.py", True), ("pkg/test_a.py", True), ("conftest.py", True),
     ("pkg/a_test.py", True), ("pkg/a.py", False), ("pkg/contest.py", False), ("pkg/testing.py", False)],
)  # fmt: skip
def test_tests_are_told_by_their_path_in_the_project(tmp_path: Path, name: str, is_test: bool) -> None:
    tree(tmp_path, "pyproject.toml", name)

    (source,) = discover([tmp_path])

    assert source.is_test is is_test


def test_the_order_of_the_arguments_does_not_matter(tmp_path: Path) -> None:
    tree(tmp_path, "pyproject.toml", "a.py", "b.py", "c/d.py")

    assert discover([tmp_path / "b.py", tmp_path / "c"]) == discover([tmp_path / "c", tmp_path / "b.py"])
