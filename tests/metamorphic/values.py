"""A value that is bound to a variable first, and what else changes where a value stands, not what it is."""

from itertools import pairwise

import libcst as cst

from tests.metamorphic.editing import (
    Edit,
    added,
    before,
    code,
    is_path,
    is_still,
    local_names,
    only,
    receiver,
    statement,
    statements,
    uses,
)

Lines = cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]


class _InLines(Edit):
    """A change of one simple statement, to which lines before it may be added."""

    keeps_lines = True

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Lines:
        small = only(original_node)
        if self.function is None or small is None or only(updated_node) is None:
            return updated_node
        changed = self.changed(small)
        if changed is None or not self.take():
            return updated_node
        first, new = changed
        line = updated_node.with_changes(body=[new])
        return before(line, [added(statement(each)) for each in first]) if first else line

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        """Return lines to stand first and the changed statement, None if the change does not apply."""
        raise NotImplementedError


def _value(small: cst.BaseSmallStatement) -> cst.BaseExpression | None:
    match small:
        case cst.Expr(value=value) | cst.Assign(value=value) | cst.Return(value=value):
            return value
        case _:
            return None


def _targets_are_still(small: cst.BaseSmallStatement) -> bool:
    return not isinstance(small, cst.Assign) or all(
        is_path(each.target) or isinstance(each.target, cst.Tuple | cst.Subscript) for each in small.targets
    )


class AwaitableInAVariable(_InLines):
    """`waiting = self.read()`, then `await waiting`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        match _value(small):
            case cst.Await(expression=cst.Call() as call) as waits:
                new = waits.with_changes(expression=cst.Name("waiting"))
                return [f"waiting = {code(call)}"], small.with_changes(value=new)
            case _:
                return None


class ResultInAVariable(_InLines):
    """`result = await self.read()`, then `return result`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        match small:
            case cst.Return(value=cst.BaseExpression() as value) if not is_still(value):
                return [f"result = {code(value)}"], small.with_changes(value=cst.Name("result"))
            case _:
                return None


class AssignedInTwoSteps(_InLines):
    """`value = await self.read()`, then `line = value`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        match small:
            case cst.Assign(targets=[cst.AssignTarget(target=target)], value=value) if is_path(
                target
            ) and not is_still(value):
                return [f"value = {code(value)}"], small.with_changes(value=cst.Name("value"))
            case _:
                return None


class ResultBound(_InLines):
    """`_ = await self.send()` for an `await` whose result nobody wants."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        match small:
            case cst.Expr(value=cst.Await() as value):
                return [], cst.Assign([cst.AssignTarget(cst.Name("unused"))], value)
            case _:
                return None


class FirstArgumentInAVariable(_InLines):
    """`argument = self.read()`, then `wait_for(argument, 5)`: of the first call that is evaluated."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        outer = value
        while isinstance(outer, cst.Await):
            outer = outer.expression
        match outer:
            case cst.Call(func=func, args=[cst.Arg(value=cst.Call() as first, star="") as arg, *rest]) if (
                is_path(func)
            ):
                new = outer.with_changes(args=[arg.with_changes(value=cst.Name("argument")), *rest])
                assert value is not None
                return [f"argument = {code(first)}"], small.with_changes(value=value.deep_replace(outer, new))
            case _:
                return None


class ArgumentsInAList(_InLines):
    """`jobs = [a(), b()]`, then `gather(*jobs)`."""

    keeps_lines = True

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        call = value.expression if isinstance(value, cst.Await) else value
        match call:
            case cst.Call(func=cst.Attribute(attr=cst.Name(value="gather")), args=args):
                jobs = [each for each in args if each.keyword is None]
                named = [each for each in args if each.keyword is not None]
                if not jobs or any(each.star for each in args):
                    return None
                new = call.with_changes(args=[cst.Arg(cst.Name("jobs"), star="*"), *named])
                assert value is not None
                return self.made([code(each.value) for each in jobs]), small.with_changes(
                    value=value.deep_replace(call, new)
                )
            case _:
                return None

    def made(self, jobs: list[str]) -> list[str]:
        """Return the lines that make the list."""
        return [f"jobs = [{', '.join(jobs)}]"]


class ArgumentsAppended(ArgumentsInAList):
    """`jobs = []`, `jobs.append(a())`, …, then `gather(*jobs)`."""

    def made(self, jobs: list[str]) -> list[str]:
        return ["jobs = []", *(f"jobs.append({each})" for each in jobs)]


class _OfTasks(_InLines):
    """What `asyncio.wait({a, b})` is given."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        match value:
            case cst.Await(
                expression=cst.Call(
                    func=cst.Attribute(attr=cst.Name(value="wait")),
                    args=[cst.Arg(value=cst.Set(elements=elements) as tasks) as arg, *rest],
                ) as call
            ) if all(isinstance(each, cst.Element) and is_path(each.value) for each in elements):
                lines, given = self.given([code(each.value) for each in elements], tasks)
                new = call.with_changes(args=[arg.with_changes(value=given), *rest])
                return lines, small.with_changes(value=value.deep_replace(call, new))
            case _:
                return None

    def given(self, names: list[str], tasks: cst.Set) -> tuple[list[str], cst.BaseExpression]:
        raise NotImplementedError


class TasksInAVariable(_OfTasks):
    """`tasks = {a, b}`, then `asyncio.wait(tasks)`."""

    def given(self, names: list[str], tasks: cst.Set) -> tuple[list[str], cst.BaseExpression]:
        return [f"tasks = {code(tasks)}"], cst.Name("tasks")


class TasksInAList(_OfTasks):
    """`asyncio.wait([a, b])`."""

    def given(self, names: list[str], tasks: cst.Set) -> tuple[list[str], cst.BaseExpression]:
        return [], cst.parse_expression(f"[{', '.join(names)}]")


class TasksAdded(_OfTasks):
    """`tasks = set()`, `tasks.add(a)`, `tasks.add(b)`, then `asyncio.wait(tasks)`."""

    def given(self, names: list[str], tasks: cst.Set) -> tuple[list[str], cst.BaseExpression]:
        return ["tasks = set()", *(f"tasks.add({each})" for each in names)], cst.Name("tasks")


class TasksCollected(_OfTasks):
    """`asyncio.wait({each for each in (a, b)})`."""

    def given(self, names: list[str], tasks: cst.Set) -> tuple[list[str], cst.BaseExpression]:
        return [], cst.parse_expression(f"{{each for each in ({', '.join(names)},)}}")


class TimeoutByName(_InLines):
    """`wait_for(x, timeout=5)`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        match value:
            case cst.Await(
                expression=cst.Call(
                    func=cst.Attribute(attr=cst.Name(value="wait_for")),
                    args=[first, cst.Arg(keyword=None, value=limit)],
                ) as call
            ):
                named = cst.Arg(limit, cst.Name("timeout"), equal=cst.AssignEqual(_NO_SPACE, _NO_SPACE))
                new = call.with_changes(args=[first, named])
                return [], small.with_changes(value=value.deep_replace(call, new))
            case _:
                return None


_NO_SPACE = cst.SimpleWhitespace("")


class AttributeInAVariable(_InLines):
    """`alias = self.writer`, then `alias.write(line)`, in one statement."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        found = _first_object(value) if value is not None else None
        if found is None or not _targets_are_still(small):
            return None
        assert value is not None
        return [f"alias = {code(found)}"], small.with_changes(
            value=value.deep_replace(found, cst.Name("alias"))
        )


class BoundMethodInAVariable(_InLines):
    """`call = self.writer.write`, then `call(line)`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        value = _value(small)
        outer = value.expression if isinstance(value, cst.Await) else value
        match outer:
            case cst.Call(func=cst.Attribute(value=base) as func) if _is_own(base):
                new = outer.with_changes(func=cst.Name("call"))
                assert value is not None
                return [f"call = {code(func)}"], small.with_changes(value=value.deep_replace(outer, new))
            case _:
                return None


def _is_own(expr: cst.BaseExpression) -> bool:
    """Tell whether an expression is `self` or an attribute path from it."""
    while isinstance(expr, cst.Attribute):
        expr = expr.value
    return isinstance(expr, cst.Name) and expr.value == "self"


def _first_object(value: cst.BaseExpression) -> cst.Attribute | None:
    """Return the attribute of `self` whose method a value begins with calling."""
    while isinstance(value, cst.Await):
        value = value.expression
    match value:
        case cst.Call(func=cst.Attribute(value=cst.Attribute(value=cst.Name(value="self")) as found)):
            return found
        case _:
            return None


class AttributesAtTheTop(Edit):
    """`writer = self.writer` at the top of a method, for all that it does with it."""

    keeps_lines = True

    def edited(self, text: str) -> str:
        module = cst.parse_module(text)
        stores = _StoredAttributes()
        module.visit(stores)
        self._stored = stores.found
        return module.visit(self).code

    def in_function(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.CSTNode:
        plain = not self._functions and len(self._classes) == 1 and receiver(original) is not None
        if not plain or not isinstance(updated.body, cst.IndentedBlock) or original.name.value == "__init__":
            return updated
        reads = _ReadAttributes()
        original.body.visit(reads)
        for name in sorted(reads.found - self._stored):
            if f"{name}_here" not in local_names(original) and self.take():
                body = updated.body.visit(_Aliased(name))
                line = added(statement(f"{name}_here = self.{name}"))
                assert isinstance(body, cst.IndentedBlock)
                updated = updated.with_changes(body=body.with_changes(body=[line, *body.body]))
        return updated


class _StoredAttributes(cst.CSTVisitor):
    """Attributes that anything but `__init__` assigns, deletes or defines."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._function = ""

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.found.add(node.name.value)
        self._function = node.name.value

    def _store(self, target: cst.CSTNode) -> None:
        match target:
            case cst.Attribute(attr=cst.Name(value=name)) if self._function != "__init__":
                self.found.add(name)
            case cst.Tuple(elements=elements):
                for each in elements:
                    self._store(each.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._store(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._store(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._store(node.target)
        if isinstance(node.target, cst.Attribute):
            self.found.add(node.target.attr.value)

    def visit_AsName(self, node: cst.AsName) -> None:
        self._store(node.name)

    def visit_Del(self, node: cst.Del) -> None:
        self._store(node.target)


class _ReadAttributes(cst.CSTVisitor):
    """Attributes of `self` with which something is done."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        match node.value:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                self.found.add(name)


class _Aliased(cst.CSTTransformer):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        match original_node:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)) if name == self._name:
                return cst.Name(f"{name}_here")
            case _:
                return updated_node


class AddedInFull(_InLines):
    """`x = x + 1` for `x += 1`."""

    def changed(self, small: cst.BaseSmallStatement) -> tuple[list[str], cst.BaseSmallStatement] | None:
        match small:
            case cst.AugAssign(target=target, operator=operator, value=cst.Integer() as value) if is_path(
                target
            ):
                sign = code(operator).strip().removesuffix("=")
                return [], statement(f"{code(target)} = {code(target)} {sign} {code(value)}").body[0]
            case _:
                return None


class AttributeDefinedByAProperty(Edit):
    """`self._messages` in `__init__`, and a property `messages` that returns it."""

    def edited(self, text: str) -> str:
        module = cst.parse_module(text)
        stores = _StoredAttributes()
        module.visit(stores)
        self._stored = stores.found
        return module.visit(self).code

    def in_class(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.CSTNode:
        init = _constructor(original)
        if init is None or self._classes or not isinstance(updated.body, cst.IndentedBlock):
            return updated
        for name in sorted(_assigned_once(init) - self._stored):
            if not name.startswith("_") and self.take():
                hidden = updated.body.visit(_Hidden(name))
                shown = statements(f"@property\ndef {name}(self):\n    return self._{name}")
                assert isinstance(hidden, cst.IndentedBlock)
                updated = updated.with_changes(body=hidden.with_changes(body=[*hidden.body, *shown]))
        return updated


def _constructor(cls: cst.ClassDef) -> cst.FunctionDef | None:
    for each in cls.body.body:
        if isinstance(each, cst.FunctionDef) and each.name.value == "__init__":
            return each
    return None


def _assigned_once(init: cst.FunctionDef) -> set[str]:
    found = []
    for line in init.body.body:
        match only(line):
            case cst.AnnAssign(target=target) | cst.Assign(targets=[cst.AssignTarget(target=target)]):
                if isinstance(target, cst.Attribute) and _is_own(target):
                    found.append(target.attr.value)
    return {name for name in found if found.count(name) == 1}


class _Hidden(cst.CSTTransformer):
    """Within `__init__`, the attribute under the property."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._is_inside = False

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return node.name.value == "__init__"

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        match original_node:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)) if name == self._name:
                return updated_node.with_changes(attr=cst.Name(f"_{name}"))
            case _:
                return updated_node


class AttributeNamedAgain(AttributeDefinedByAProperty):
    """A property whose type is said."""

    def in_class(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.CSTNode:
        init = _constructor(original)
        if init is None or self._classes or not isinstance(updated.body, cst.IndentedBlock):
            return updated
        types = _declared(init)
        for name in sorted((_assigned_once(init) - self._stored) & set(types)):
            if not name.startswith("_") and self.take():
                hidden = updated.body.visit(_Hidden(name))
                shown = statements(f"@property\ndef {name}(self) -> {types[name]}:\n    return self._{name}")
                assert isinstance(hidden, cst.IndentedBlock)
                updated = updated.with_changes(body=hidden.with_changes(body=[*hidden.body, *shown]))
        return updated


def _declared(init: cst.FunctionDef) -> dict[str, str]:
    found = {}
    for line in init.body.body:
        match only(line):
            case cst.AnnAssign(target=cst.Attribute(attr=cst.Name(value=name)), annotation=annotation):
                found[name] = code(annotation.annotation)
    return found


class AssignedInATest(Edit):
    """`if (line := await self.read()):` for `line = …`, `if line:`."""

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        lines = list(updated_node.body)
        for at, (line, following) in enumerate(pairwise(lines)):
            match only(line), following:
                case (
                    cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value),
                    cst.If(test=test),
                ) if _begins_with(test, name) and self.take():
                    walrus = cst.NamedExpr(
                        cst.Name(name), value, lpar=[cst.LeftParen()], rpar=[cst.RightParen()]
                    )
                    first = next(each for each in _names_in(test) if each.value == name)
                    lines[at + 1] = following.with_changes(
                        test=test.deep_replace(first, walrus) if test is not first else walrus,
                        whitespace_before_test=cst.SimpleWhitespace(" "),
                    )
                    return updated_node.with_changes(body=[*lines[:at], *lines[at + 1 :]])
        return updated_node


def _names_in(expr: cst.BaseExpression) -> list[cst.Name]:
    found = _FoundNames()
    expr.visit(found)
    return found.found


class _FoundNames(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[cst.Name] = []

    def visit_Name(self, node: cst.Name) -> None:
        self.found.append(node)


def _begins_with(test: cst.BaseExpression, name: str) -> bool:
    """Tell whether a test evaluates this variable first."""
    found = uses(test).loads
    match test:
        case cst.BooleanOperation() | cst.Comparison() | cst.UnaryOperation() | cst.Name():
            return bool(found) and found[0] == name and _names_in(test)[0].value == name
        case _:
            return False


VALUES: tuple[type[Edit], ...] = (
    AwaitableInAVariable,
    ResultInAVariable,
    AssignedInTwoSteps,
    ResultBound,
    FirstArgumentInAVariable,
    ArgumentsInAList,
    ArgumentsAppended,
    TasksInAVariable,
    TasksInAList,
    TasksAdded,
    TasksCollected,
    TimeoutByName,
    AttributeInAVariable,
    BoundMethodInAVariable,
    AttributesAtTheTop,
    AddedInFull,
    AttributeDefinedByAProperty,
    AttributeNamedAgain,
    AssignedInATest,
)
