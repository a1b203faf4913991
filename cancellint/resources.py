"""Where the rule pages and the library tables lie, in an installed package or in a checkout."""

from pathlib import Path

from cancellint.mistakes import Mistake


class ResourcesError(Mistake):
    """The rule pages and library tables are missing: the installation is broken."""


def rules_folder() -> Path:
    """The folder of rule pages, with the library tables in its subfolder `knowledge`.

    A wheel carries it inside the package, a checkout has it beside the package.
    Raises ResourcesError where neither is there.
    """
    package = Path(__file__).resolve().parent
    candidates = (package / "_rules", package.parent / "rules")
    for candidate in candidates:
        if (candidate / "knowledge").is_dir():
            return candidate
    looked_at = " and ".join(str(candidate) for candidate in candidates)
    raise ResourcesError(f"no rule pages in {looked_at}; reinstall cancellint")


def rule_pages() -> tuple[Path, ...]:
    """The Markdown pages of all rules, by file name."""
    return tuple(sorted(rules_folder().glob("*.md")))


def rule_name(word: str) -> str | None:
    """The name of the rule of this code or name, as the titles of the pages give them: `# name (CODE)`."""
    for page in rule_pages():
        with page.open(encoding="utf-8") as text:
            code = text.readline().rpartition("(")[2].rstrip().removesuffix(")")
        if word.casefold() in (page.stem, code.casefold()):
            return page.stem
    return None


def compiled_knowledge() -> Path:
    """Where the library tables lie in their compiled form, if the build has made one."""
    return rules_folder() / "knowledge" / "compiled.msgpack"


def knowledge_tables() -> tuple[Path, ...]:
    """The library tables that come with the tool, by file name."""
    return tuple(sorted((rules_folder() / "knowledge").glob("*.toml")))
