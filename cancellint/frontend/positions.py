"""Places of steps and comments in the source text, computed only where someone asks.

Lowering is deterministic, so lowering the same tree again tells which syntax a step number stands
for. One code generation pass then notes where in the stream of tokens the wanted syntax begins and
ends; lines and columns follow from the text those tokens make up.
"""

import re
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from types import TracebackType

import libcst as cst
from libcst._nodes.internal import CodegenState

from cancellint.frontend.lower import SyntaxOrigins, lower_with_origins
from cancellint.model.source import Span

DEFINITION = -1
"""The step number that stands for a function's own `def`."""

_DEEP_FRAMES = 60_000
_DEEP_STACK = 256 * 1024 * 1024
_NEWLINE = re.compile(r"\r\n|\r|\n")


def spans(tree: cst.Module, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Span]:
    """The spans of the wanted steps, each given as function index and step number (-1: its `def`)."""
    origins = lower_with_origins(tree)[1]
    nodes = {(function, step): _origin(origins[function], step) for function, step in wanted}
    recorder = _generated(tree, frozenset(nodes.values()), comments=False)
    text = _Text(recorder.tokens)
    places = {node: text.span(first, last) for node, (first, last) in recorder.ranges.items()}
    return {key: _underlined(node, places.get(node, text.start())) for key, node in nodes.items()}


def nodes(tree: cst.Module, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], cst.CSTNode]:
    """The syntax of the wanted steps, each given as function index and step number (-1: the definition).

    Of an except handler that is what it catches, of a bare one the handler; of an assignment the statement.
    """
    origins = lower_with_origins(tree)[1]
    return {
        (function, step): origins[function].definition
        if step == DEFINITION
        else origins[function].steps[step]
        for function, step in wanted
    }


def comments(tree: cst.Module) -> list[tuple[Span, str, bool]]:
    """All comments in order: where, what, and whether nothing else stands on the line."""
    recorder = _generated(tree, frozenset(), comments=True)
    text = _Text(recorder.tokens)
    found = []
    for index in recorder.comments:
        span = text.span(index, index + 1)
        found.append((span, recorder.tokens[index], text.is_blank_before(span)))
    return found


def _origin(origins: SyntaxOrigins, step: int) -> cst.CSTNode:
    """The syntax to underline for a step."""
    if step != DEFINITION:
        return origins.steps[step]
    match origins.definition:
        case cst.FunctionDef(name=name) | cst.ClassDef(name=name):
            return name
    return origins.definition


def _underlined(node: cst.CSTNode, span: Span) -> Span:
    """What of a syntax is underlined: of a bare handler only its keyword, of a module its first character."""
    match node:
        case cst.ExceptHandler():
            return Span(span.line, span.column, span.line, span.column + len("except"))
        case cst.Module():
            return Span(1, 1, 1, 1)
    return span


class _Recorder(CodegenState):
    """Collects the tokens of a file and between which of them the wanted nodes lie."""

    def __init__(self, tree: cst.Module, wanted: frozenset[cst.CSTNode], comments: bool) -> None:
        super().__init__(tree.default_indent, tree.default_newline)
        self.wanted = wanted
        self.with_comments = comments
        self.ranges: dict[cst.CSTNode, tuple[int, int]] = {}
        self.comments: list[int] = []

    def before_codegen(self, node: cst.CSTNode) -> None:
        if self.with_comments and type(node) is cst.Comment:
            self.comments.append(len(self.tokens))

    def record_syntactic_position(  # type: ignore[override]  # a context manager of any class will do
        self,
        node: cst.CSTNode,
        *,
        start_node: cst.CSTNode | None = None,
        end_node: cst.CSTNode | None = None,
    ) -> "_Unrecorded":
        return _Recorded(self, node) if node in self.wanted else _UNRECORDED


class _Unrecorded:
    """Surrounds the code of a node nobody asked for."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_UNRECORDED = _Unrecorded()


class _Recorded(_Unrecorded):
    """Surrounds the code of a wanted node."""

    def __init__(self, recorder: _Recorder, node: cst.CSTNode) -> None:
        self.recorder = recorder
        self.node = node
        self.first = len(recorder.tokens)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.recorder.ranges[self.node] = (self.first, len(self.recorder.tokens))


class _Text:
    """The text that tokens make up, with its lines."""

    def __init__(self, tokens: list[str]) -> None:
        self.offsets = [0, *accumulate(len(token) for token in tokens)]
        self.text = "".join(tokens)
        self.lines = [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    def span(self, first: int, last: int) -> Span:
        """The span of the tokens `first` up to, not including, `last`."""
        line, column = self._position(self.offsets[first])
        return Span(line, column, *self._position(self.offsets[last]))

    def start(self) -> Span:
        return Span(1, 1, 1, 1)

    def is_blank_before(self, span: Span) -> bool:
        """Whether only white space stands before the span on its line."""
        start = self.lines[span.line - 1]
        return not self.text[start : start + span.column - 1].strip()

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1


def _generated(tree: cst.Module, wanted: frozenset[cst.CSTNode], comments: bool) -> _Recorder:
    """The record of one code generation pass."""
    try:
        return _pass(tree, wanted, comments)
    except RecursionError:
        return _with_deep_stack(lambda: _pass(tree, wanted, comments))


def _pass(tree: cst.Module, wanted: frozenset[cst.CSTNode], comments: bool) -> _Recorder:
    recorder = _Recorder(tree, wanted, comments)
    tree._codegen(recorder)
    return recorder


def _with_deep_stack(work: Callable[[], _Recorder]) -> _Recorder:
    """Run `work` where recursion may go deep: code generation in libcst recurses once per operator."""
    results: list[_Recorder] = []
    frames, stack = sys.getrecursionlimit(), threading.stack_size(_DEEP_STACK)
    sys.setrecursionlimit(max(frames, _DEEP_FRAMES))
    try:
        thread = threading.Thread(target=lambda: results.append(work()))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(stack)
        sys.setrecursionlimit(frames)
    return results[0]
