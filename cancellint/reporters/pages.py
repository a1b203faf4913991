"""The page of a rule, whole and in short, without what is on it only for tests."""

import re
from collections.abc import Mapping

_SECTION = re.compile(r"(?m)^## (.+?)[ \t]*$")
_FENCE = re.compile(r"(?ms)^```python\n(?P<code>.*?)^```$")
_WANT = re.compile(r"(?m)[ \t]*#[ \t]*want[ \t]+(?:possible )?(?:[A-Z]{2,10}\d{1,5}\b|[\w.]+:)[ \t]*\".*$")

SHORT_SECTIONS = ("What it finds", "Why it matters", "Bad", "Good", "How to fix")


def whole(page: str) -> str:
    """The page without the marks of what tests expect."""
    return _WANT.sub("", page)


def sections(page: str) -> Mapping[str, str]:
    """The text of each section, by its title."""
    parts = _SECTION.split(whole(page))
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


LONGEST_TEXT = 240
"""Characters after whose sentence an explanation ends in the short form."""
LONGEST_CURE = 8
"""Lines after whose item a list of cures ends in the short form."""


def short(page: str) -> str:
    """What the rule finds and why, one example of each kind, and the cure: what fits on one screen."""
    told = sections(page)
    title = page.partition("\n")[0]
    code = title.rpartition("(")[2].rstrip(") ")
    parts = ((name, _in_short(name, told.get(name, ""))) for name in SHORT_SECTIONS)
    blocks = [f"## {name}\n{part}" for name, part in parts if part]
    more = f"More examples, false alarms it avoids and known limits: `cancellint explain {code} --full`"
    return "\n\n".join((title, *blocks, more)) + "\n"


def _in_short(name: str, text: str) -> str:
    if name in ("Bad", "Good"):
        return _shortest_example(text)
    if name == "How to fix":
        return _first_items(_first_paragraph(text))
    return _first_sentences(_first_paragraph(text))


def _shortest_example(text: str) -> str:
    """The shortest of the examples that stand alone, without what it imports and without empty lines."""
    examples = [match["code"] for match in _FENCE.finditer(text) if "# file:" not in match["code"]]
    if not examples:
        return ""
    code = min(examples, key=lambda code: code.count("\n"))
    plain = re.sub(r"(?m)^(?:import|from) .*\n", "", code).strip("\n")
    narrow = re.sub(r"\n{2,}", "\n", plain)
    return f"```python\n{narrow}\n```"


def _first_paragraph(text: str) -> str:
    """Up to the first blank line; a list that the paragraph announces belongs to it."""
    first, _, rest = text.partition("\n\n")
    following = rest.partition("\n\n")[0]
    is_announced = first.rstrip().endswith((":", "because")) and re.match(r"[*\-1]", following)
    return f"{first}\n\n{following}" if is_announced else first


def _first_sentences(text: str) -> str:
    """Whole sentences until there is enough; lists stay whole."""
    if len(text) <= LONGEST_TEXT or "\n* " in text:
        return text
    end = re.compile(r"[.!?](?=\s)").search(text, LONGEST_TEXT)
    return text if end is None else text[: end.end()]


def _first_items(text: str) -> str:
    """Whole items of a list until there are enough lines."""
    items = re.split(r"(?m)^(?=\* )", text)
    kept = items[0]
    for item in items[1:]:
        if kept and kept.count("\n") + item.count("\n") > LONGEST_CURE:
            break
        kept += item
    return kept.rstrip()
