"""Statements that are left in several ways, and the one line that is to run on each.

A *closing* line (a release, an undo) stands at the ends of a region. Moving it to the one place that all
ways out pass says the same only where it was the last thing done before the region was left, and where no
`return`, `break` or `continue` left without it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import libcst as cst

from cancellint.fixes.imports import is_cancelled_too
from cancellint.fixes.syntax import Spot, Statement, Syntax, below, code, has_comment
from cancellint.frontend.scopes import bound_in

Line: TypeAlias = cst.SimpleStatementLine
_Jump: TypeAlias = cst.Return | cst.Break | cst.Continue


class TextRegion(NamedTuple):
    """What follows an opening line in its block, up to where it is closed."""

    line: Line
    opening: Spot
    """where the line stands"""
    end: int
    """index, in the block, of the first statement behind the region; the closing line, if it stands there"""
    closing: Line
    removed: frozenset[cst.CSTNode]
    """the closing lines inside that are not needed any more"""

    @property
    def statements(self) -> tuple[Statement, ...]:
        return self.opening.statements[self.opening.number + 1 : self.end]

    @property
    def last_finally(self) -> Sequence[cst.CSTNode]:
        """What the `finally` of the last statement does, if it closes at its end."""
        match self.statements:
            case [*_, cst.Try(finalbody=cst.Finally() as last)] if _last(last.body) is self.closing:
                return last.body.body
        return ()

    @property
    def kept(self) -> Line | None:
        """The closing line, if it stands in the `finally` of the last statement, alone."""
        return self.closing if len(self.last_finally) == 1 else None

    @property
    def closes_behind(self) -> bool:
        """Whether the closing line stands directly behind the region, in the same block."""
        rest = self.opening.statements[self.end :]
        return bool(rest) and rest[0] is self.closing

    @property
    def rest(self) -> tuple[Statement, ...]:
        """What stays behind, the closing line left out."""
        return self.opening.statements[self.end + self.closes_behind :]


def region(syntax: Syntax, nodes: Sequence[cst.CSTNode]) -> TextRegion | None:
    """The region between what opens it and what closes it, if that can be moved to its exit.

    Where a cancelled scope would cancel the closing await too, it cannot.
    The first node opens, the others close; each must be a statement on a line of its own. Other lines of the
    same text close too.
    """
    lines = [line for line in (syntax.line(node) for node in nodes) if line is not None]
    if len(lines) < max(2, len(nodes)):
        return None
    opening, closing, *_ = lines
    if len({code(line.body[0]) for line in lines[1:]}) != 1 or is_cancelled_too(syntax, closing):
        return None
    spot = syntax.spot(opening)
    last = None if spot is None else _last_index(syntax, spot, lines[1:])
    if spot is None or last is None:
        return None
    closings = [*_same_lines(syntax.root, closing)]
    found = _closed_in_block(opening, spot, last, closings) or _closed_in_try(opening, spot, last, closings)
    return None if found is None else _movable(syntax, found, closings)


def _same_lines(root: cst.CSTNode, line: Line) -> Iterator[Line]:
    text = code(line.body[0])
    for each in below(root):
        match each:
            case cst.SimpleStatementLine(body=[statement]) if code(statement) == text:
                yield each


def _last_index(syntax: Syntax, spot: Spot, lines: Sequence[Line]) -> int | None:
    """Where in the block the last of these lines stands, or what it stands in."""
    numbers: dict[cst.CSTNode, int] = {each: number for number, each in enumerate(spot.statements)}
    found = [numbers[each] for line in lines for each in (line, *syntax.around(line)) if each in numbers]
    return max((number for number in found if number > spot.number), default=None)


def _movable(syntax: Syntax, found: TextRegion, closings: Sequence[Line]) -> TextRegion | None:
    """The region with the closing lines that need not stay in it, if moving them says the same."""
    within = {each for statement in found.statements for each in below(statement)}
    if _needs_what_is_bound(found) or within.intersection(_same_lines(syntax.root, found.line)):
        return None
    inside = [line for line in closings if line in within and line is not found.kept]
    removed = frozenset(line for line in inside if _ends(syntax, found, line))
    is_alone = removed.issuperset(inside) and not _is_closed_around(syntax, found, closings)
    if not is_alone and not may_repeat(found.closing):
        return None
    if any(not _is_closed(syntax, jump, inside) for jump in _cancellation_paths(syntax, found)):
        return None
    return found._replace(removed=removed)


def may_repeat(line: Line) -> bool:
    """Whether running a line twice does what running it once does."""
    match line.body[0]:
        case cst.Assign(value=cst.Name() | cst.SimpleString() | cst.Integer()):
            return True
        case cst.Expr(value=cst.Call(func=cst.Attribute(attr=cst.Name(value="discard" | "clear" | "set")))):
            return True
        case cst.Expr(value=cst.Call(func=cst.Attribute(attr=cst.Name(value="pop")), args=[_, _])):
            return True
    return False


# --------------------------------------------------------------------------- where the region ends


def _closed_in_block(opening: Line, spot: Spot, first: int, closings: Sequence[Line]) -> TextRegion | None:
    """The region up to a closing line in the same block."""
    for number, each in enumerate(spot.statements):
        if number >= max(first, spot.number + 2) and each in closings:
            closing = closings[closings.index(each)]
            return TextRegion(opening, spot, number, closing, frozenset())
    return None


def _closed_in_try(opening: Line, spot: Spot, index: int, closings: Sequence[Line]) -> TextRegion | None:
    """The region up to the `try` whose every normal end, or whose `finally`, closes it."""
    closing = _closing_of(spot.statements[index], closings)
    if closing is None:
        return None
    found = TextRegion(opening, spot, index + 1, closing, frozenset())
    return None if found.last_finally and len(found.statements) < 2 else found


def _closing_of(statement: Statement, closings: Sequence[Line]) -> Line | None:
    """What a `try` does last, if that closes, and every handler closes too or raises."""
    match statement:
        case cst.Try(body=cst.IndentedBlock(), finalbody=cst.Finally(body=body)):
            last = _last(body)
            return next((line for line in closings if line is last), None)
        case cst.Try(finalbody=None, handlers=handlers, orelse=orelse, body=body):
            last = _last(orelse.body if orelse else body)
            if all(each in closings or _raises(each) for each in (_last(one.body) for one in handlers)):
                return next((line for line in closings if line is last), None)
    return None


def _last(body: cst.BaseSuite) -> cst.CSTNode | None:
    return body.body[-1] if body.body else None


def _raises(statement: cst.CSTNode | None) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[*_, cst.Raise()]) | cst.Raise():
            return True
    return False


def _needs_what_is_bound(found: TextRegion) -> bool:
    """Whether the closing line reads a name that the region may leave unbound."""
    bound, _, _ = bound_in(found.statements[:-1] if found.last_finally else found.statements)
    return any(isinstance(each, cst.Name) and each.value in bound for each in below(found.closing))


# --------------------------------------------------------------------------- how it is left


def _is_closed_around(syntax: Syntax, found: TextRegion, closings: Sequence[Line]) -> bool:
    """Whether a handler or a `finally` around the opening line closes too."""
    inner: cst.CSTNode = found.line
    for each in syntax.around(found.line):
        if isinstance(each, cst.Try | cst.TryStar) and inner is each.body:
            clauses = (*each.handlers, each.finalbody)
            if any(line in below(clause) for clause in clauses if clause for line in closings):
                return True
        inner = each
    return False


def _ends(syntax: Syntax, found: TextRegion, line: Line) -> bool:
    """Whether the region is left right after a line, which carries no comment that would get lost."""
    spot = syntax.spot(line)
    if spot is None or (has_comment(line) and line is not found.closing):
        return False
    match spot.after:
        case []:
            return not found.closes_behind and _falls_out(syntax, found, line)
        case [cst.SimpleStatementLine(body=[jump])]:
            return _is_plain_jump(jump) and _leaves(syntax, found, jump)
    return False


def _is_plain_jump(node: cst.CSTNode) -> bool:
    """Whether a statement leaves without calling or awaiting anything first."""
    match node:
        case cst.Return(value=value):
            return value is None or not any(isinstance(each, cst.Call | cst.Await) for each in below(value))
        case cst.Raise() | cst.Break() | cst.Continue():
            return not any(isinstance(each, cst.Await) for each in below(node))
    return False


def _leaves(syntax: Syntax, found: TextRegion, jump: cst.CSTNode) -> bool:
    """Whether a jump goes out of the region, not to a loop or handler inside."""
    inner = jump
    for each in _within(syntax, found, jump):
        match each:
            case cst.For() | cst.While() if isinstance(jump, cst.Break | cst.Continue):
                return False
            case cst.Try(handlers=[_, *_]) | cst.TryStar() if isinstance(jump, cst.Raise):
                if inner is each.body:
                    return False
        inner = each
    return True


def _falls_out(syntax: Syntax, found: TextRegion, line: Line) -> bool:
    """Whether nothing of the region runs after a line that stands last in its block."""
    inner: cst.CSTNode = line
    for each in _within(syntax, found, line):
        match each:
            case cst.IndentedBlock() if each.body[-1] is not inner:
                return False
            case cst.Finally() if line is not found.closing:
                return False
            case cst.For() | cst.While():
                return False
            case cst.Try() | cst.TryStar() if each.orelse is not None and inner is each.body:
                return False
        inner = each
    return inner is found.statements[-1]


def _within(syntax: Syntax, found: TextRegion, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What a node stands in, from the inside out, up to a statement of the region."""
    for each in syntax.around(node):
        if each is found.opening.block:
            return
        yield each


def _cancellation_paths(syntax: Syntax, found: TextRegion) -> Iterator[_Jump]:
    """The jumps out of the region that do not pass a `finally` that closes it."""
    for statement in found.statements[:-1] if found.last_finally else found.statements:
        for each in below(statement):
            if isinstance(each, _Jump) and _leaves(syntax, found, each):
                yield each


def _is_closed(syntax: Syntax, jump: _Jump, closings: Sequence[Line]) -> bool:
    """Whether a closing line stands before a jump, in a block it stands in."""
    spots = (syntax.spot(each) for each in syntax.around(jump))
    return any(each in closings for spot in spots if spot is not None for each in spot.before)
