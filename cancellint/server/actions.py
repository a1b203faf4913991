"""What can be done about a finding: fixes, a comment that silences it, and a walk through its story."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lsprotocol.types import (
    CodeAction,
    CodeActionKind,
    Command,
    Diagnostic,
    TextEdit,
    WorkspaceEdit,
)
from pygls.workspace import PositionCodec

from cancellint.fixes.edits import edits_between, edits_of
from cancellint.fixes.ignore import ignored
from cancellint.fixes.mend import mended
from cancellint.frontend.parse import source_lines
from cancellint.model.finding import TextEdit as Edit
from cancellint.server.diagnostics import Told
from cancellint.server.places import range_of

WALK = "cancellint.walk"
FIX_ALL = f"{CodeActionKind.SourceFixAll.value}.cancellint"


def actions(
    uri: str, data: bytes, told: Sequence[Told], shown: Mapping[str, Diagnostic], codec: PositionCodec
) -> Iterator[CodeAction]:
    """Yield what can be done about these findings, the safest first. `data` is the file's text."""
    lines = source_lines(data)
    fixable = [(each, edits) for each in told if (edits := _edits(data, each))]
    for each, edits in sorted(fixable, key=lambda one: not _is_safe(one[0])):
        yield CodeAction(
            title=f"Fix {each.finding.code} {_kind(each)}",
            kind=CodeActionKind.QuickFix,
            diagnostics=_diagnostics(each, shown),
            is_preferred=_is_safe(each) or None,
            edit=_change(uri, edits, lines, codec),
        )
    for each in told:
        yield from _silence(uri, data, each, shown, codec)


def walks(told: Iterable[Told], shown: Mapping[str, Diagnostic]) -> Iterator[CodeAction]:
    """Yield a walk through the story of each of these findings."""
    for each in told:
        steps = len(each.finding.story)
        if steps:
            title = f"Go through the story of {each.finding.code} ({steps + 1} steps)"
            yield CodeAction(
                title=title,
                kind=CodeActionKind.QuickFix,
                diagnostics=_diagnostics(each, shown),
                command=Command(title=title, command=WALK, arguments=[each.fingerprint]),
            )


def fix_all(uri: str, data: bytes, told: Sequence[Told], codec: PositionCodec) -> CodeAction | None:
    """All safe fixes of a file at once, as many as go together."""
    fixes = [each.finding.fix for each in told if each.finding.fix is not None and each.finding.fix.safe]
    changed = mended(data, fixes) if fixes else None
    if changed is None:
        return None
    return CodeAction(
        title="Make all safe fixes of cancellint",
        kind=FIX_ALL,
        edit=_change(uri, edits_between(data, changed.data), source_lines(data), codec),
    )


def _edits(data: bytes, told: Told) -> tuple[Edit, ...]:
    return () if told.finding.fix is None else edits_of(data, told.finding.fix)


def _is_safe(told: Told) -> bool:
    return told.finding.fix is not None and told.finding.fix.safe


def _kind(told: Told) -> str:
    return "(safe)" if _is_safe(told) else "(unsafe: changes more than the finding is about)"


def _silence(
    uri: str, data: bytes, told: Told, shown: Mapping[str, Diagnostic], codec: PositionCodec
) -> Iterator[CodeAction]:
    finding = told.finding
    after = ignored(data, {finding.place.span.line: [finding.code]}, "")
    if after is not None:
        yield CodeAction(
            title=f"Silence {finding.code} here",
            kind=CodeActionKind.QuickFix,
            diagnostics=_diagnostics(told, shown),
            edit=_change(uri, edits_between(data, after), source_lines(data), codec),
        )


def _diagnostics(told: Told, shown: Mapping[str, Diagnostic]) -> list[Diagnostic]:
    return [shown[told.fingerprint]] if told.fingerprint in shown else []


def _change(uri: str, edits: Iterable[Edit], lines: Sequence[str], codec: PositionCodec) -> WorkspaceEdit:
    return WorkspaceEdit(
        changes={uri: [TextEdit(range_of(each.span, lines, codec), each.text) for each in edits]}
    )
