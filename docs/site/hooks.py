"""Puts the README, docs/ and the pages of the rules into the site, where they are in the repository."""

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from cancellint.reporters.html import HARM
from cancellint.reporters.pages import whole
from cancellint.selection import catalogue

ROOT = Path(__file__).resolve().parents[2]
README = "README.md"
FIRST = {
    "Begin": [README, "docs/why.md", "docs/coming-from.md", "docs/compare.md"],
    "Use": [
        *("docs/ci.md", "docs/editors.md", "docs/reports.md"),
        *("docs/api.md", "docs/own-rules.md", "docs/runtime.md"),
    ],
}
TITLES = {README: "Overview", "CHANGELOG.md": "Changes", "SECURITY.md": "Security"}
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s#]+)(?P<part>#[^)\s]*)?\)")
_FENCE = re.compile(r"(?ms)^(?P<mark>`{3,})\w*\n.*?^(?P=mark)$")


def sources() -> tuple[str, ...]:
    """The pages, as they are called in the repository."""
    found = [README, "CHANGELOG.md", "SECURITY.md"]
    found += [f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))]
    return (*found, *(f"rules/{page.name}" for page in sorted((ROOT / "rules").glob("*.md"))), *OTHERS)


OTHERS = ("rules/knowledge/README.md",)
"""Pages beside those of the rules."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to what the theme brings along."""
    for name in sources():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Say in which order the pages stand."""
    listed = {page for pages in FIRST.values() for page in pages}
    rest = [name for name in sources() if name.startswith("docs/") and name not in listed]
    rest += [*OTHERS, "CHANGELOG.md", "SECURITY.md"]
    config.nav = [
        *({section: [_entry(name) for name in pages]} for section, pages in FIRST.items()),
        {"Rules": [{harm.capitalize(): names} for harm, names in _rules().items()]},
        {"More": [_entry(name) for name in rest]},
    ]
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text without what only tests read; links to files that are no pages become their names."""
    text = whole(markdown)
    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        parts += [_links(text[end : fence.start()], page, files), fence[0]]
        end = fence.end()
    return "".join([*parts, _links(text[end:], page, files)])


def _links(text: str, page: Page, files: Files) -> str:
    folder = PurePosixPath(page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        to = match["to"]
        if ":" in to:
            return match[0]
        target = _resolved(folder / to)
        if files.get_file_from_path(target) is not None:
            return match[0]
        if to.rstrip("/").endswith("rules") and target == "rules":
            return f"[{match['text']}]({'../' * len(folder.parts)}{README}#rules)"
        assert (ROOT / target).exists(), f"{page.file.src_uri}: there is no {to}"
        return match["text"]

    return _LINK.sub(link, text)


def _resolved(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _entry(name: str) -> dict[str, str] | str:
    return {TITLES[name]: name} if name in TITLES else name


def _rules() -> dict[str, list[dict[str, str]]]:
    """The pages of the rules by what they are about."""
    found: dict[str, list[dict[str, str]]] = {}
    for rule in catalogue():
        entry = {f"{rule.code} {rule.name}": f"rules/{rule.name}.md"}
        found.setdefault(HARM[rule.code[:4]], []).append(entry)
    return found
