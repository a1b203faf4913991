"""The settings as a JSON schema, for editors that complete and check a configuration."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cancellint.config import (
    EXTEND,
    KNOWN_PYTHONS,
    MAX_PATTERNS,
    MAX_RULE_FOLDERS,
    MAX_TABLES,
    AssumeRaced,
    Profile,
)
from cancellint.model.finding import Confidence, Severity

Json: TypeAlias = str | int | bool | Sequence["Json"] | Mapping[str, "Json"]
Object: TypeAlias = Mapping[str, Json]

_RULE: Object = {"$ref": "#/definitions/rule"}
_RULES: Object = {"type": "array", "items": _RULE}


def schema(rules: Sequence[tuple[str, str]]) -> Object:
    """The schema of `cancellint.toml`, and of `[tool.cancellint]`, given codes and names of all rules."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://json.schemastore.org/cancellint.json",
        "title": "cancellint",
        "description": "Settings of cancellint, in cancellint.toml or under [tool.cancellint]",
        "type": "object",
        "additionalProperties": False,
        "properties": _properties(),
        "definitions": {"rule": _rule(rules)},
    }


def _rule(rules: Sequence[tuple[str, str]]) -> Object:
    """A code, a prefix of codes, or a name."""
    codes = [code for code, _ in rules]
    prefixes = sorted({code[:length] for code in codes for length in range(3, len(code))})
    return {
        "description": "A rule's code, a prefix of codes, or a rule's name",
        "enum": [*codes, *(name for _, name in rules), *prefixes],
    }


def _properties() -> Object:
    return {
        "select": _told("Only these rules; by default all but the pedantic ones", _RULES),
        "extend-select": _told("These rules too", _RULES),
        "ignore": _told("Not these rules", _RULES),
        "per-file-ignores": _table("Rules that are not shown in files, by pattern as in .gitignore", _RULES),
        "severity": {
            "description": "How bad the findings of rules are",
            "type": "object",
            "propertyNames": _RULE,
            "additionalProperties": {"enum": [each.value for each in Severity]},
        },
        "exclude": _strings("Patterns as in .gitignore of what is left out", MAX_PATTERNS),
        "target-version": {
            "description": "The newest Python that the project supports; by default from requires-python",
            "enum": [str(version) for version in KNOWN_PYTHONS],
        },
        "knowledge": _strings("Tables with facts about your own libraries", MAX_TABLES),
        "assume-raced": {
            "description": "Whether every public coroutine counts as raced by a caller who reads on",
            "enum": [each.value for each in AssumeRaced],
        },
        "dropped-task-underscore": _flag("Whether tasks that are bound to _ are reported too"),
        "cancel-safe-decorators": _strings("Dotted names of decorators that declare cancel-safety", 1_000),
        "min-confidence": {
            "description": "The weakest findings to show",
            "enum": [each.value for each in Confidence],
        },
        "profile": {
            "description": "pedantic: pedantic rules and possible findings too",
            "enum": [each.value for each in Profile],
        },
        "unsafe-fixes": _flag("Whether --fix makes unsafe fixes too"),
        "noqa-aliases": {
            **_table("Codes of other tools that count in noqa comments, and the rules they mean", _RULES),
            "propertyNames": {"pattern": "^(?![Cc][Aa][Nn])[A-Za-z]+[0-9]+$"},
        },
        "own-rules": _strings("Folders with rules of your own, run with --own-rules only", MAX_RULE_FOLDERS),
        "baseline": {"description": "A file of findings that are not told again", "type": "string"},
        EXTEND: {"description": "What is not said here is taken from this file", "type": "string"},
    }


def _told(description: str, kind: Object) -> Object:
    return {"description": description, **kind}


def _table(description: str, values: Json) -> Object:
    return {"description": description, "type": "object", "additionalProperties": values}


def _strings(description: str, most: int) -> Object:
    return {
        "description": description,
        "type": "array",
        "maxItems": most,
        "items": {"type": "string"},
    }


def _flag(description: str) -> Object:
    return {"description": description, "type": "boolean"}
