"""What an expression contains, found without lowering it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import libcst as cst

from cancellint.frontend.lower_dispatch import part

_WORKING: Final = frozenset(
    {
        cst.Call,
        cst.Await,
        cst.Yield,
        cst.NamedExpr,
        cst.ListComp,
        cst.SetComp,
        cst.DictComp,
        cst.StarredDictComp,
        cst.GeneratorExp,
    }
)


def works_inside(expression: cst.BaseExpression) -> bool:
    """Whether evaluating this calls, suspends or binds anything, so that it matters if it is skipped."""
    waiting: list[cst.CSTNode] = [expression]
    while waiting:
        node = waiting.pop()
        if type(node) in _WORKING:
            return True
        parts = _PARTS.get(type(node))
        if parts is not None:
            waiting.extend(parts(node))
    return False


_SUSPENDING: Final = frozenset({cst.Await, cst.Yield})

_COMPREHENSIONS: Final = frozenset(
    {cst.ListComp, cst.SetComp, cst.DictComp, cst.StarredDictComp, cst.GeneratorExp}
)
"""Asked before `isinstance`, which takes long to deny an abstract class."""


class Suspensions:
    """Tells whether expressions suspend while they are evaluated; what has been looked at is remembered."""

    def __init__(self) -> None:
        self._still: set[cst.CSTNode] = set()

    def inside(self, expressions: Iterable[cst.CSTNode]) -> bool:
        """Whether evaluating one of these awaits or yields."""
        waiting = list(expressions)
        seen: list[cst.CSTNode] = []
        while waiting:
            node = waiting.pop()
            if node in self._still:
                continue
            clause = _clause(node)
            if type(node) in _SUSPENDING or _asynchronous(clause):
                return True
            seen.append(node)
            if type(node) is cst.GeneratorExp:
                continue
            if clause is not None:
                waiting.append(clause.iter)
            parts = _PARTS.get(type(node))
            if parts is not None:
                waiting.extend(parts(node))
        self._still.update(seen)
        return False


def suspends_inside(generator: cst.GeneratorExp) -> bool:
    """Whether a generator expression awaits while it runs: its first iterable is evaluated before."""
    waiting: list[cst.CSTNode] = [generator.elt, *_clause_parts(generator.for_in)]
    if _asynchronous(generator.for_in):
        return True
    while waiting:
        node = waiting.pop()
        if type(node) is cst.Await:
            return True
        clause = _clause(node)
        if _asynchronous(clause):
            return type(node) is not cst.GeneratorExp
        if clause is not None:
            waiting.append(clause.iter)
        parts = _PARTS.get(type(node))
        if parts is not None:
            waiting.extend(parts(node))
    return False


def _clause(node: cst.CSTNode) -> cst.CompFor | None:
    """The first `for` of a comprehension."""
    return node.for_in if type(node) in _COMPREHENSIONS and isinstance(node, cst.BaseComp) else None


def _asynchronous(clause: cst.CompFor | None) -> bool:
    while clause is not None:
        if clause.asynchronous is not None:
            return True
        clause = clause.inner_for_in
    return False


def _clause_parts(clause: cst.CompFor) -> Iterable[cst.CSTNode]:
    """What the clauses evaluate turn by turn: all but the first iterable."""
    found: list[cst.CSTNode] = [condition.test for condition in clause.ifs]
    inner = clause.inner_for_in
    while inner is not None:
        found.append(inner.iter)
        found.extend(condition.test for condition in inner.ifs)
        inner = inner.inner_for_in
    return found


def _value(node: cst.Attribute | cst.StarredElement | cst.Index | cst.NamedExpr) -> Iterable[cst.CSTNode]:
    return (node.value,)


def _expression(node: cst.Await | cst.UnaryOperation) -> Iterable[cst.CSTNode]:
    return (node.expression,)


def _subscript(node: cst.Subscript) -> Iterable[cst.CSTNode]:
    return (node.value, *(element.slice for element in node.slice))


def _slice(node: cst.Slice) -> Iterable[cst.CSTNode]:
    return tuple(bound for bound in (node.lower, node.upper, node.step) if bound is not None)


def _sides(
    node: cst.BinaryOperation | cst.BooleanOperation | cst.ConcatenatedString,
) -> Iterable[cst.CSTNode]:
    return (node.left, node.right)


def _comparison(node: cst.Comparison) -> Iterable[cst.CSTNode]:
    return (node.left, *(target.comparator for target in node.comparisons))


def _elements(node: cst.Tuple | cst.List | cst.Set) -> Iterable[cst.CSTNode]:
    return tuple(element.value for element in node.elements)


def _dict(node: cst.Dict) -> Iterable[cst.CSTNode]:
    keys = (element.key for element in node.elements if isinstance(element, cst.DictElement))
    return (*keys, *(element.value for element in node.elements))


def _ifexp(node: cst.IfExp) -> Iterable[cst.CSTNode]:
    return (node.test, node.body, node.orelse)


def _call(node: cst.Call) -> Iterable[cst.CSTNode]:
    return (node.func, *(arg.value for arg in node.args))


def _yield(node: cst.Yield) -> Iterable[cst.CSTNode]:
    value = node.value
    if value is None:
        return ()
    return (value.item if isinstance(value, cst.From) else value,)


def _string(node: cst.FormattedString | cst.TemplatedString) -> Iterable[cst.CSTNode]:
    return tuple(node.parts)


def _placeholder(
    node: cst.FormattedStringExpression | cst.TemplatedStringExpression,
) -> Iterable[cst.CSTNode]:
    return (node.expression, *(node.format_spec or ()))


def _comprehension(node: cst.ListComp | cst.SetComp | cst.StarredDictComp) -> Iterable[cst.CSTNode]:
    element = node.value if isinstance(node, cst.StarredDictComp) else node.elt
    return (element, *_clause_parts(node.for_in))


def _dict_comprehension(node: cst.DictComp) -> Iterable[cst.CSTNode]:
    return (node.key, node.value, *_clause_parts(node.for_in))


_PARTS: Final[Mapping[type[cst.CSTNode], Callable[[cst.CSTNode], Iterable[cst.CSTNode]]]] = dict(
    [
        part(cst.Attribute, _value),
        part(cst.StarredElement, _value),
        part(cst.Index, _value),
        part(cst.NamedExpr, _value),
        part(cst.Await, _expression),
        part(cst.UnaryOperation, _expression),
        part(cst.Subscript, _subscript),
        part(cst.Slice, _slice),
        part(cst.BinaryOperation, _sides),
        part(cst.BooleanOperation, _sides),
        part(cst.ConcatenatedString, _sides),
        part(cst.Comparison, _comparison),
        part(cst.Tuple, _elements),
        part(cst.List, _elements),
        part(cst.Set, _elements),
        part(cst.Dict, _dict),
        part(cst.IfExp, _ifexp),
        part(cst.Call, _call),
        part(cst.Yield, _yield),
        part(cst.FormattedString, _string),
        part(cst.TemplatedString, _string),
        part(cst.FormattedStringExpression, _placeholder),
        part(cst.TemplatedStringExpression, _placeholder),
        part(cst.ListComp, _comprehension),
        part(cst.SetComp, _comprehension),
        part(cst.StarredDictComp, _comprehension),
        part(cst.DictComp, _dict_comprehension),
    ]
)
"""The expressions that another one evaluates itself. Lambdas are not here: they evaluate nothing yet,
nor are generator expressions: what they await they await when they run."""
