"""Lowering of expressions: what calls, suspends or binds becomes a step, the rest stays symbolic.

An operand that is evaluated before a later one suspends is loaded there and then: another task might rebind
what it reads meanwhile.

Nesting that source code can have without brackets (`a + b + …`, `x.a.b…`, `not not …`, `a if b else
c if …`) is walked in loops. Only brackets recurse, and CPython allows 200 of them.
"""

from collections.abc import Callable, Mapping, Sequence
from sys import intern
from typing import Final

import libcst as cst

from cancellint.frontend import lower_literals as literals
from cancellint.frontend.lower_completions import Label
from cancellint.frontend.lower_dispatch import link, on, part
from cancellint.frontend.lower_graph import Graph
from cancellint.frontend.lower_handlers import is_a_class_apart, last_name
from cancellint.frontend.lower_operators import AUGMENTED, BINARY, COMPARISON, UNARY
from cancellint.frontend.lower_parts import Suspensions, suspends_inside, works_inside
from cancellint.frontend.scopes import Scope, SyntaxScopes, names_in
from cancellint.model import ir
from cancellint.model.ir import Leaves

DEEPEST = 30
"""An expression nested deeper without brackets is saved in a synthetic local, so that those who
walk or store expressions need not fear their depth."""

_DEEPEST_BRACKETS = 12
"""So is every so many levels of brackets."""

_LONGEST_ANNOTATION = 2000
_MOST_BRACKETS = 100
"""String annotations beyond these are left as text: the parser is not proof against everything."""


class Expressions(Graph):
    """Lowers the expressions of one scope into its graph."""

    def __init__(self, scopes: SyntaxScopes, scope: Scope) -> None:
        super().__init__()
        self.scopes = scopes
        self.scope = scope
        self.renames: Mapping[str, str] = scope.renames
        self.bound: set[str] = {param.name for param in scope.params}
        self.yields = False
        self.yields_from = False
        self.synthetic = scope.synthetic
        self.level = 0
        self.suspensions = Suspensions()
        self.dropped: cst.CSTNode | None = None
        """the expression that is a whole statement"""
        self.quiet = False
        """no steps: decorators, annotations and defaults are only described"""
        self.annotating = False
        """strings are annotations"""

    # ------------------------------------------------------------------ entry points

    def expr(self, node: cst.BaseExpression) -> ir.Expr:
        """Lower an expression; its value."""
        if type(node) is cst.Name:
            return self._name(node)
        self.level += 1
        value = _EXPRESSIONS[type(node)](self, node)
        self.level -= 1
        if self.level % _DEEPEST_BRACKETS == _DEEPEST_BRACKETS - 1:
            return self.shallow(value, node)
        return value

    def shallow(self, value: ir.Expr, node: cst.CSTNode) -> ir.Expr:
        """A stand-in for a deeply nested value: a synthetic local that holds it. A description just ends."""
        if isinstance(value, ir.Temp | ir.Name | ir.Const | ir.Closure):
            return value
        return literals.ELLIPSIS if self.quiet else self.save(value, node)

    def symbolic(self, node: cst.BaseExpression) -> ir.Expr:
        """Describe an expression without steps: a call is `Op("call", (func, *args))`, where a keyword
        argument is `Op("keyword", (name, value))`."""
        before = self.quiet, self.risky
        self.quiet = True
        value = self.expr(node)
        self.quiet, self.risky = before
        return value

    def annotation(self, node: cst.BaseExpression) -> ir.Expr:
        """Describe an annotation; strings in it are parsed."""
        before = self.annotating
        self.annotating = True
        value = self.symbolic(node)
        self.annotating = before
        return value

    def name(self, id_: str) -> ir.Name:
        return self.scopes.name(self.renames.get(id_, id_) if self.renames else id_)

    def save(self, value: ir.Expr, node: cst.CSTNode, into: ir.Name | None = None) -> ir.Name:
        """Keep a value in a synthetic local."""
        target = into or self.fresh()
        self.emit(ir.Assign(target, value), node)
        return target

    def operands(self, nodes: Sequence[cst.BaseExpression]) -> list[ir.Expr]:
        """Lower expressions that are evaluated one after the other and used together."""
        return [self.operand(node, nodes[index + 1 :]) for index, node in enumerate(nodes)]

    def operand(self, node: cst.BaseExpression, later: Sequence[cst.CSTNode]) -> ir.Expr:
        """Lower an expression that is used after `later` ones have been evaluated."""
        value = self.expr(node)
        return self.load(value, node) if later and self.outlasts(value, later) else value

    def outlasts(self, value: ir.Expr, later: Sequence[cst.CSTNode]) -> bool:
        """Whether a value that is read now is used after a suspension in later expressions."""
        return not self.quiet and _reads_something(value) and self.suspensions.inside(later)

    def load(self, value: ir.Expr, node: cst.CSTNode) -> ir.Temp:
        """Read a value now."""
        return ir.Temp(self.emit(ir.Load(value), node))

    def fresh(self) -> ir.Name:
        """A new synthetic local."""
        self.synthetic += 1
        name = f"${self.synthetic}"
        self.bound.add(name)
        return self.scopes.name(name)

    # ------------------------------------------------------------------ leaves

    def _name(self, node: cst.Name) -> ir.Expr:
        return literals.NAMED.get(node.value) or self.name(node.value)

    def _integer(self, node: cst.Integer) -> ir.Expr:
        return literals.integer(node)

    def _float(self, node: cst.Float) -> ir.Expr:
        return literals.floating(node)

    def _imaginary(self, node: cst.Imaginary) -> ir.Expr:
        return literals.imaginary(node)

    def _ellipsis(self, node: cst.Ellipsis) -> ir.Expr:
        return literals.ELLIPSIS

    def _string(self, node: cst.SimpleString) -> ir.Expr:
        value = literals.string(node)
        if self.annotating and value.kind == "str":
            return self._parsed(value)
        return value

    def _parsed(self, text: ir.Const) -> ir.Expr:
        """The expression written in a string annotation, or the string if it is none."""
        source = text.text.strip()
        if source.isidentifier():
            return literals.NAMED.get(source) or self.name(source)
        if len(source) > _LONGEST_ANNOTATION or source.count("(") + source.count("[") > _MOST_BRACKETS:
            return text
        try:
            parsed = cst.parse_expression(source)
        except cst.ParserSyntaxError:
            return text
        return text if isinstance(parsed, cst.SimpleString) else self.expr(parsed)

    # ------------------------------------------------------------------ chains

    def _chain(self, node: cst.BaseExpression) -> ir.Expr:
        """What starts with another expression (`x.a`, `x()`, `x + y`, `await x`), from the inside out."""
        links = []
        inner = node
        while (first := _FIRST.get(type(inner))) is not None:
            links.append(inner)
            inner = first(inner)
        value = self.expr(inner)
        depth = 0
        for outer in reversed(links):
            value = _LINKS[type(outer)](self, outer, value)
            depth = 0 if type(value) is ir.Temp else depth + 1
            if depth >= DEEPEST:
                value = self.shallow(value, outer)
                depth = 0
        return value

    def _attribute(self, node: cst.Attribute, base: ir.Expr) -> ir.Expr:
        self.risky = True
        return self.scopes.attribute(base, node.attr.value)

    def _subscript(self, node: cst.Subscript, base: ir.Expr) -> ir.Expr:
        before = self.annotating
        if before and last_name(node.value) == "Literal":
            self.annotating = False
        keys = []
        for index, element in enumerate(node.slice):
            key = self._slice(element.slice)
            if self.outlasts(key, [each.slice for each in node.slice[index + 1 :]]):
                key = self.load(key, element)
            keys.append(key)
            if before and last_name(node.value) == "Annotated":
                self.annotating = False
        self.annotating = before
        self.risky = True
        single = len(keys) == 1 and type(keys[0]) is not ir.Star
        return ir.Item(base, keys[0] if single else ir.Build("tuple", tuple(keys)))

    def _slice(self, node: cst.BaseSlice) -> ir.Expr:
        match node:
            case cst.Index(value=value, star=star):
                return ir.Star(self.expr(value)) if star else self.expr(value)
            case cst.Slice(lower=lower, upper=upper, step=step):
                written = [bound for bound in (lower, upper, step) if bound is not None]
                values = dict(zip(map(id, written), self.operands(written), strict=True))
                nothing = literals.NAMED["None"]
                return ir.Op("slice", tuple(values.get(id(bound), nothing) for bound in (lower, upper, step)))
        raise TypeError(type(node))

    def _call(self, node: cst.Call, func: ir.Expr) -> ir.Expr:
        used = node is not self.dropped
        args: list[ir.Expr] = []
        keywords: list[tuple[str | None, ir.Expr]] = []
        for arg, value in zip(node.args, self.operands([arg.value for arg in node.args]), strict=True):
            if arg.star == "*":
                args.append(ir.Star(value))
            elif arg.star == "**":
                keywords.append((None, value))
            elif arg.keyword is not None:
                keywords.append((intern(arg.keyword.value), value))
            else:
                args.append(value)
        if self.quiet:
            return ir.Op("call", (func, *args, *(_keyword(name, value) for name, value in keywords)))
        self.risky = True
        return ir.Temp(self.emit(ir.Call(func, tuple(args), tuple(keywords), used), node))

    def _await(self, node: cst.Await, value: ir.Expr) -> ir.Expr:
        if self.quiet:
            return ir.Op("await", (value,))
        return self.suspend(ir.Await(value, ir.AwaitKind.EXPRESSION, node is not self.dropped), node)

    def _unary(self, node: cst.UnaryOperation, value: ir.Expr) -> ir.Expr:
        return _signed(UNARY[type(node.operator)], value)

    def _binary(self, node: cst.BinaryOperation, left: ir.Expr) -> ir.Expr:
        self.risky = True
        if self.outlasts(left, (node.right,)):
            left = self.load(left, node.left)
        if type(node.operator) is cst.Power:
            return self._power(node, left)
        return ir.Op(BINARY[type(node.operator)], (left, self.expr(node.right)))

    def _power(self, node: cst.BinaryOperation, left: ir.Expr) -> ir.Expr:
        """`a ** -b ** c` nests to the right: from left to right for the operands, then back."""
        waiting: list[tuple[str, tuple[ir.Expr, ...]]] = [("**", (left,))]
        rest = node.right
        while True:
            if isinstance(rest, cst.UnaryOperation):
                waiting.append((UNARY[type(rest.operator)], ()))
                rest = rest.expression
            elif isinstance(rest, cst.BinaryOperation) and type(rest.operator) is cst.Power:
                waiting.append(("**", (self.operand(rest.left, (rest.right,)),)))
                rest = rest.right
            else:
                break
        value = self.expr(rest)
        for depth, (op, before) in enumerate(reversed(waiting), 1):
            if depth % DEEPEST == 0:
                value = self.shallow(value, node)
            value = _signed(op, value) if not before else ir.Op(op, (*before, value))
        return value

    # ------------------------------------------------------------------ displays

    def _tuple(self, node: cst.Tuple) -> ir.Expr:
        return ir.Build("tuple", self._elements(node.elements))

    def _list(self, node: cst.List) -> ir.Expr:
        return ir.Build("list", self._elements(node.elements))

    def _set(self, node: cst.Set) -> ir.Expr:
        return ir.Build("set", self._elements(node.elements))

    def _elements(self, elements: Sequence[cst.BaseElement]) -> tuple[ir.Expr, ...]:
        values = self.operands([element.value for element in elements])
        return tuple(
            [
                ir.Star(value) if type(element) is cst.StarredElement else value
                for element, value in zip(elements, values, strict=True)
            ]
        )

    def _starred(self, node: cst.StarredElement) -> ir.Expr:
        return ir.Star(self.expr(node.value))

    def _dict(self, node: cst.Dict) -> ir.Expr:
        nodes: list[cst.BaseExpression] = []
        starred: set[int] = set()
        for element in node.elements:
            if isinstance(element, cst.DictElement):
                nodes.append(element.key)
            else:
                starred.add(len(nodes))
            nodes.append(element.value)
        values = enumerate(self.operands(nodes))
        return ir.Build("dict", tuple(ir.Star(value) if at in starred else value for at, value in values))

    # ------------------------------------------------------------------ strings made of parts

    def _concatenated(self, node: cst.ConcatenatedString) -> ir.Expr:
        pieces: list[cst.BaseExpression] = []
        rest: cst.BaseExpression = node
        while isinstance(rest, cst.ConcatenatedString):
            pieces.append(rest.left)
            rest = rest.right
        pieces.append(rest)
        before = self.annotating
        self.annotating = False
        values = [self.expr(piece) for piece in pieces]
        self.annotating = before
        joined = _joined(values)
        return self._parsed(joined) if before and type(joined) is ir.Const else joined

    def _formatted(self, node: cst.FormattedString) -> ir.Expr:
        return ir.Op("fstring", tuple(self._parts(node.parts)))

    def _templated(self, node: cst.TemplatedString) -> ir.Expr:
        return ir.Op("fstring", tuple(self._parts(node.parts)))

    def _parts(
        self, parts: Sequence[cst.BaseFormattedStringContent] | Sequence[cst.BaseTemplatedStringContent]
    ) -> list[ir.Expr]:
        values: list[ir.Expr] = []
        for index, piece in enumerate(parts):
            match piece:
                case cst.FormattedStringText(value=text) | cst.TemplatedStringText(value=text):
                    values.append(ir.Const("str", literals.unescaped(text)))
                case (
                    cst.FormattedStringExpression(expression=expression, format_spec=spec)
                    | cst.TemplatedStringExpression(expression=expression, format_spec=spec)
                ):
                    values.append(self.operand(expression, (*(spec or ()), *parts[index + 1 :])))
                    values.extend(self._parts(spec or ()))
        return values

    # ------------------------------------------------------------------ short circuits

    def _boolean(self, node: cst.BooleanOperation) -> ir.Expr:
        op = "and" if type(node.operator) is cst.And else "or"
        operands = _same_operator(node)
        if self.quiet or not any(works_inside(operand) for operand in operands[1:]):
            return ir.Op(op, tuple([self.expr(operand) for operand in operands]))
        result = self.fresh()
        done = Label()
        for operand in operands[:-1]:
            self.save(self.expr(operand), operand, result)
            more = Label()
            true, false = (more, done) if op == "and" else (done, more)
            self.end((true, Leaves.TRUE), (false, Leaves.FALSE), test=result)
            self.place(more)
        self.save(self.expr(operands[-1]), operands[-1], result)
        self.place(done)
        return result

    def _ifexp(self, node: cst.IfExp) -> ir.Expr:
        arms: list[cst.IfExp] = []
        rest: cst.BaseExpression = node
        while isinstance(rest, cst.IfExp):
            arms.append(rest)
            rest = rest.orelse
        works = any(works_inside(arm.body) or (i and works_inside(arm.test)) for i, arm in enumerate(arms))
        if self.quiet or not (works or works_inside(rest) or len(arms) > DEEPEST):
            return self._pure_ifexp(arms[:DEEPEST], rest)
        result = self.fresh()
        done = Label()
        for arm in arms:
            body, orelse = Label(), Label()
            self.cond(arm.test, body, orelse)
            if self.place(body):
                self.save(self.expr(arm.body), arm.body, result)
                self.end_at(done)
            if not self.place(orelse):
                break
        else:
            self.save(self.expr(rest), rest, result)
        self.place(done)
        return result

    def _pure_ifexp(self, arms: Sequence[cst.IfExp], rest: cst.BaseExpression) -> ir.Expr:
        tested = [(self.expr(arm.test), self.expr(arm.body)) for arm in arms]
        value = self.expr(rest)
        for test, body in reversed(tested):
            value = ir.Op("ifexp", (test, body, value))
        return value

    def _comparison(self, node: cst.Comparison) -> ir.Expr:
        targets = node.comparisons
        left = self.operand(node.left, (targets[0].comparator,))
        if len(targets) == 1:
            return self._compared(left, targets[0], self.expr(targets[0].comparator))
        if self.quiet or not any(works_inside(target.comparator) for target in targets[1:]):
            return self._pure_comparisons(left, targets)
        result = self.fresh()
        done = Label()
        for target in targets[:-1]:
            right = self.expr(target.comparator)
            self.save(self._compared(left, target, right), target.comparator, result)
            more = Label()
            self.end((more, Leaves.TRUE), (done, Leaves.FALSE), test=result)
            self.place(more)
            left = right
        right = self.expr(targets[-1].comparator)
        self.save(self._compared(left, targets[-1], right), node, result)
        self.place(done)
        return result

    def _pure_comparisons(self, left: ir.Expr, targets: Sequence[cst.ComparisonTarget]) -> ir.Expr:
        compared: list[ir.Expr] = []
        for target in targets:
            right = self.expr(target.comparator)
            compared.append(self._compared(left, target, right))
            left = right
        return ir.Op("and", tuple(compared))

    def _compared(self, left: ir.Expr, target: cst.ComparisonTarget, right: ir.Expr) -> ir.Expr:
        return ir.Op(COMPARISON[type(target.operator)], (left, right))

    # ------------------------------------------------------------------ conditions

    def cond(self, node: cst.BaseExpression, yes: Label, no: Label) -> None:
        """Branch on a condition. `and`, `or`, `not` and chained comparisons become branches of their own."""
        while type(node) is cst.UnaryOperation and type(node.operator) is cst.Not:
            node = node.expression
            yes, no = no, yes
        if type(node) is cst.BooleanOperation:
            self._cond_boolean(node, yes, no)
            return
        if type(node) is cst.Comparison and len(node.comparisons) > 1:
            self._cond_comparison(node, yes, no)
            return
        value = self.expr(node)
        truth = _constant_truth(value)
        if truth is None:
            self.end((yes, Leaves.TRUE), (no, Leaves.FALSE), test=value)
        else:
            self.end_at(yes if truth else no)

    def _cond_boolean(self, node: cst.BooleanOperation, yes: Label, no: Label) -> None:
        operands = _same_operator(node)
        conjunction = type(node.operator) is cst.And
        for operand in operands[:-1]:
            more = Label()
            if conjunction:
                self.cond(operand, more, no)
            else:
                self.cond(operand, yes, more)
            if not self.place(more):
                return
        self.cond(operands[-1], yes, no)

    def _cond_comparison(self, node: cst.Comparison, yes: Label, no: Label) -> None:
        left = self.expr(node.left)
        last = node.comparisons[-1]
        for target in node.comparisons:
            right = self.expr(target.comparator)
            more = yes if target is last else Label()
            test = self._compared(left, target, right)
            self.end((more, Leaves.TRUE), (no, Leaves.FALSE), test=test)
            if target is not last:
                self.place(more)
            left = right

    def end_at(self, target: Label) -> None:
        """End the current block, if any, by going on at `target`."""
        self.end((target, Leaves.NORMAL))

    # ------------------------------------------------------------------ bindings and generators

    def _named(self, node: cst.NamedExpr) -> ir.Expr:
        value = self.expr(node.value)
        if self.quiet or not isinstance(node.target, cst.Name):
            return value
        self.bound.add(node.target.value)
        target = self.scopes.name(node.target.value)
        self.emit(ir.Assign(target, value), node)
        return target

    def _yield(self, node: cst.Yield) -> ir.Expr:
        used = node is not self.dropped
        if isinstance(node.value, cst.From):
            value = self.expr(node.value.item)
            if self.quiet:
                return ir.Op("await", (value,))
            self.yields_from = True
            return self.suspend(ir.Await(value, ir.AwaitKind.YIELD_FROM, used), node)
        value = literals.NAMED["None"] if node.value is None else self.expr(node.value)
        if self.quiet:
            return value
        self.yields = True
        return self.hand_over(value, used, node)

    # ------------------------------------------------------------------ comprehensions

    def _list_comp(self, node: cst.ListComp) -> ir.Expr:
        return self._comprehension("list", node.for_in, node.elt)

    def _set_comp(self, node: cst.SetComp) -> ir.Expr:
        return self._comprehension("set", node.for_in, node.elt)

    def _dict_comp(self, node: cst.DictComp) -> ir.Expr:
        return self._comprehension("dict", node.for_in, node.value, node.key)

    def _starred_dict_comp(self, node: cst.StarredDictComp) -> ir.Expr:
        return self._comprehension("dict", node.for_in, node.value, starred=True)

    def _generator(self, node: cst.GeneratorExp) -> ir.Expr:
        """A generator expression that cannot suspend is run on the spot, like a list."""
        if self.quiet or not suspends_inside(node):
            return self._comprehension("list", node.for_in, node.elt)
        index = self.scopes.known(node)
        iterated = self.save(self.expr(node.for_in.iter), node.for_in.iter)
        if index is None:
            index = self.scopes.next_function(node)
            self._queue(node, index, "genexp", "<genexpr>", iterated=iterated)
        return ir.Closure(index)

    def _comprehension(
        self,
        kind: str,
        clause: cst.CompFor,
        element: cst.BaseExpression,
        key: cst.BaseExpression | None = None,
        starred: bool = False,
    ) -> ir.Expr:
        if self.quiet:
            return ir.Build(kind, ())
        result = self.save(ir.Build(kind, ()), element)
        renames = self.renames
        done = Label()
        turn = self.clauses(clause, self.expr(clause.iter), done)
        if self.current is not None:
            before = () if key is None else (self.operand(key, (element,)),)
            value = self.expr(element)
            if before:
                value = ir.Build("tuple", (*before, value))
            self.emit(ir.Assign(result, ir.Star(value) if starred else value, "append"), element)
            self.end_at(turn)
        self.place(done)
        self.renames = renames
        return result

    def clauses(self, clause: cst.CompFor, iterated: ir.Expr, done: Label) -> Label:
        """Open the loops of a comprehension; where the innermost one takes its next turn.

        Control is then where the element is evaluated, or nowhere if a condition is constant.
        """
        outer = done
        rest: cst.CompFor | None = clause
        while rest is not None and self.current is not None:
            value = iterated if rest is clause else self.expr(rest.iter)
            turn, item = Label(), Label()
            self.place(turn)
            taken = self.turn(value, rest.asynchronous is not None, rest.iter, item, outer)
            self.place(item)
            self._rename(rest.target)
            self.store(rest.target, taken, rest.target)
            for condition in rest.ifs:
                holds = Label()
                self.cond(condition.test, holds, turn)
                if not self.place(holds):
                    break
            outer = turn
            rest = rest.inner_for_in
        return outer

    def _rename(self, target: cst.BaseExpression) -> None:
        """Give a comprehension's variables names of their own."""
        self.synthetic += 1
        fresh = {name: f"{name}@{self.synthetic}" for name in names_in(target)}
        self.renames = {**self.renames, **fresh}

    # ------------------------------------------------------------------ assignment

    def store(self, target: cst.BaseExpression, value: ir.Expr, node: cst.CSTNode, op: str = "") -> None:
        """Assign `value` to a target of any shape."""
        waiting: list[tuple[cst.BaseExpression, ir.Expr]] = [(target, value)]
        while waiting:
            inner, value = waiting.pop()
            if type(inner) is not cst.Name and isinstance(inner, cst.Tuple | cst.List):
                value = self._unpackable(inner, value, node)
                waiting.extend(reversed(_unpacked(inner.elements, value)))
                self.risky = True
            else:
                place = self.target(inner)
                if type(place) is ir.Name and not (type(value) is ir.ClassRef and is_a_class_apart(place.id)):
                    self.scopes.own_names.add(place.id)
                self.emit(ir.Assign(place, value, op), node if inner is target else inner)

    def target(self, node: cst.BaseExpression) -> ir.Expr:
        """What an assignment to a single target binds or stores into."""
        if type(node) is cst.Name:
            place = self.name(node.value)
            self.bound.add(place.id)
            return place
        return self.expr(node)

    def _unpackable(self, target: cst.Tuple | cst.List, value: ir.Expr, node: cst.CSTNode) -> ir.Expr:
        """`value`, saved first if storing its parts one by one could change those still to be stored."""
        if type(value) is not ir.Build or value.kind not in {"tuple", "list"}:
            return value
        stored = {_root(element.value) for element in target.elements}
        stored.update(names_in(target))
        return self.save(value, node) if any(_reads(item, stored) for item in value.items) else value

    # ------------------------------------------------------------------ function objects

    def _lambda(self, node: cst.Lambda) -> ir.Expr:
        index = self.scopes.known(node)
        if index is None:
            index = self.scopes.next_function(node)
            self._queue(node, index, "lambda", "<lambda>", params=self.params(node.params))
        return ir.Closure(index)

    def _queue(
        self,
        node: cst.Lambda | cst.GeneratorExp,
        index: int,
        kind: str,
        name: str,
        params: tuple[ir.Param, ...] = (),
        iterated: ir.Expr | None = None,
    ) -> None:
        own = {param.name for param in params}
        self.scopes.waiting.append(
            Scope(
                index=index,
                kind=kind,
                name=name,
                qualname=self.scope.qualify(name),
                node=node,
                parent=self.scope.enclosing,
                cls=self.scope.own_class,
                is_async=iterated is not None,
                params=params,
                renames={old: new for old, new in self.renames.items() if old not in own},
                synthetic=self.synthetic,
                iterated=iterated,
            )
        )

    def params(self, node: cst.Parameters) -> tuple[ir.Param, ...]:
        """A signature, in the order it is written."""
        found = [self._param(param, "positional-only") for param in node.posonly_params]
        found.extend(self._param(param, "positional") for param in node.params)
        if isinstance(node.star_arg, cst.Param):
            found.append(self._param(node.star_arg, "varargs"))
        found.extend(self._param(param, "keyword") for param in node.kwonly_params)
        if node.star_kwarg is not None:
            found.append(self._param(node.star_kwarg, "varkwargs"))
        return tuple(found)

    def _param(self, node: cst.Param, kind: str) -> ir.Param:
        annotation = None if node.annotation is None else self.annotation(node.annotation.annotation)
        default = None if node.default is None else self.symbolic(node.default)
        return ir.Param(intern(node.name.value), kind, annotation, default)


def _reads_something(value: ir.Expr) -> bool:
    """Whether an expression reads a variable, an attribute or an element that may be another one later."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case ir.Name() | ir.Attr() | ir.Item():
                return True
            case ir.Star(value=base) | ir.Element(value=base):
                waiting.append(base)
            case ir.Op(operands=parts) | ir.Build(items=parts):
                waiting.extend(parts)
            case _:
                pass
    return False


def augmented_operator(node: cst.AugAssign) -> str:
    """The operator of an augmented assignment, without its `=`."""
    return AUGMENTED[type(node.operator)]


def _keyword(name: str | None, value: ir.Expr) -> ir.Expr:
    return ir.Star(value) if name is None else ir.Op("keyword", (ir.Const("str", name), value))


def _signed(op: str, value: ir.Expr) -> ir.Expr:
    """A unary operation; of a number with a sign it is a number. Twice negated is as it was."""
    if type(value) is not ir.Const or op not in "-+" or value.kind not in {"int", "float", "complex"}:
        return ir.Op(op, (value,))
    if op == "+" or (value.kind == "int" and value.text == "0"):
        return value
    return ir.Const(value.kind, value.text[1:] if value.text.startswith("-") else f"-{value.text}")


def _joined(values: Sequence[ir.Expr]) -> ir.Expr:
    """Adjacent string literals as one value."""
    parts: list[ir.Expr] = []
    for value in values:
        parts.extend(value.operands if isinstance(value, ir.Op) else (value,))
    texts = [part.text for part in parts if isinstance(part, ir.Const)]
    if len(texts) < len(parts) or any(isinstance(value, ir.Op) for value in values):
        return ir.Op("fstring", tuple(parts))
    first = parts[0]
    if isinstance(first, ir.Const) and first.kind == "bytes":
        return ir.Const("bytes", "".join(texts))
    return ir.Const("str", "".join(texts))


def _same_operator(node: cst.BooleanOperation) -> list[cst.BaseExpression]:
    """The operands of `a and b and c`, however they are nested."""
    operator = type(node.operator)
    operands: list[cst.BaseExpression] = []
    waiting: list[cst.BaseExpression] = [node]
    while waiting:
        operand = waiting.pop()
        if isinstance(operand, cst.BooleanOperation) and type(operand.operator) is operator:
            waiting.append(operand.right)
            waiting.append(operand.left)
        else:
            operands.append(operand)
    return operands


def _constant_truth(value: ir.Expr) -> bool | None:
    """Whether a literal condition holds; None where that depends."""
    if type(value) is not ir.Const:
        return None
    if value.kind in {"int", "float", "complex"}:
        return value.text.strip("-") not in {"0", "0.0", "0j"}
    if value.kind == "bytes":
        return len(value.text) > len("b''")
    return value.text not in {"None", "False"} if value.kind in {"none", "bool"} else bool(value.text)


def _unpacked(
    elements: Sequence[cst.BaseElement], value: ir.Expr
) -> list[tuple[cst.BaseExpression, ir.Expr]]:
    """The targets in an unpacking assignment, each with its part of the value."""
    starred = [i for i, element in enumerate(elements) if isinstance(element, cst.StarredElement)]
    star = starred[0] if starred else len(elements)
    direct = _matching_items(value, len(elements)) if not starred else None
    found: list[tuple[cst.BaseExpression, ir.Expr]] = []
    for i, element in enumerate(elements):
        index = i if i <= star else i - len(elements)
        found.append((element.value, direct[i] if direct else ir.Element(value, index, i == star)))
    return found


def _matching_items(value: ir.Expr, count: int) -> tuple[ir.Expr, ...] | None:
    """The items of a display with exactly `count` of them."""
    if isinstance(value, ir.Build) and value.kind in {"tuple", "list"} and len(value.items) == count:
        return None if any(isinstance(item, ir.Star) for item in value.items) else value.items
    return None


def _root(node: cst.BaseExpression) -> str:
    """The name that `a.b[c]` starts with, or "" if it starts with something else."""
    while isinstance(node, cst.Attribute | cst.Subscript | cst.StarredElement):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def _reads(value: ir.Expr, names: set[str]) -> bool:
    """Whether an expression reads one of the names."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case ir.Name(id=name):
                if name in names:
                    return True
            case ir.Attr(base=base) | ir.Star(value=base) | ir.Element(value=base):
                waiting.append(base)
            case ir.Item(base=base, key=key):
                waiting.extend((base, key))
            case ir.Op(operands=parts) | ir.Build(items=parts):
                waiting.extend(parts)
    return False


def _value(node: cst.Attribute | cst.Subscript) -> cst.BaseExpression:
    return node.value


def _operand(node: cst.Await | cst.UnaryOperation) -> cst.BaseExpression:
    return node.expression


def _func(node: cst.Call) -> cst.BaseExpression:
    return node.func


def _left(node: cst.BinaryOperation) -> cst.BaseExpression:
    return node.left


_FIRST: Final[Mapping[type[cst.CSTNode], Callable[[cst.CSTNode], cst.BaseExpression]]] = dict(
    [
        part(cst.Attribute, _value),
        part(cst.Subscript, _value),
        part(cst.Call, _func),
        part(cst.Await, _operand),
        part(cst.UnaryOperation, _operand),
        part(cst.BinaryOperation, _left),
    ]
)
"""The expression that another one starts with."""

_LINKS: Final[Mapping[type[cst.CSTNode], Callable[[Expressions, cst.CSTNode, ir.Expr], ir.Expr]]] = dict(
    [
        link(cst.Attribute, Expressions._attribute),
        link(cst.Subscript, Expressions._subscript),
        link(cst.Call, Expressions._call),
        link(cst.Await, Expressions._await),
        link(cst.UnaryOperation, Expressions._unary),
        link(cst.BinaryOperation, Expressions._binary),
    ]
)

_EXPRESSIONS: Final[Mapping[type[cst.CSTNode], Callable[[Expressions, cst.CSTNode], ir.Expr]]] = dict(
    [
        on(cst.Attribute, Expressions._chain),
        on(cst.Subscript, Expressions._chain),
        on(cst.Call, Expressions._chain),
        on(cst.Await, Expressions._chain),
        on(cst.UnaryOperation, Expressions._chain),
        on(cst.BinaryOperation, Expressions._chain),
        on(cst.Name, Expressions._name),
        on(cst.Integer, Expressions._integer),
        on(cst.Float, Expressions._float),
        on(cst.Imaginary, Expressions._imaginary),
        on(cst.Ellipsis, Expressions._ellipsis),
        on(cst.SimpleString, Expressions._string),
        on(cst.ConcatenatedString, Expressions._concatenated),
        on(cst.FormattedString, Expressions._formatted),
        on(cst.TemplatedString, Expressions._templated),
        on(cst.Tuple, Expressions._tuple),
        on(cst.List, Expressions._list),
        on(cst.Set, Expressions._set),
        on(cst.Dict, Expressions._dict),
        on(cst.StarredElement, Expressions._starred),
        on(cst.BooleanOperation, Expressions._boolean),
        on(cst.IfExp, Expressions._ifexp),
        on(cst.Comparison, Expressions._comparison),
        on(cst.NamedExpr, Expressions._named),
        on(cst.Yield, Expressions._yield),
        on(cst.ListComp, Expressions._list_comp),
        on(cst.SetComp, Expressions._set_comp),
        on(cst.DictComp, Expressions._dict_comp),
        on(cst.StarredDictComp, Expressions._starred_dict_comp),
        on(cst.GeneratorExp, Expressions._generator),
        on(cst.Lambda, Expressions._lambda),
    ]
)
