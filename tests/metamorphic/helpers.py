"""A statement, a condition, a value or a whole body in a function of its own; a class in a module."""

import libcst as cst

from tests.metamorphic.editing import (
    Edit,
    Files,
    after_imports,
    before,
    block,
    code,
    is_import,
    is_still,
    is_text,
    local_names,
    only,
    parameters,
    spaced,
    statement,
    statements,
    uses,
)

Lines = cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]


class Extraction(Edit):
    """Something is moved into a private helper: a method, if it was in one."""

    helper = "_part"

    def edited(self, text: str) -> str:
        self._made: list[cst.BaseStatement] = []
        self._global: list[cst.BaseStatement] = []
        return super().edited(text)

    def in_class(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.CSTNode:
        if self._classes or not self._made or not isinstance(updated.body, cst.IndentedBlock):
            return updated
        body = updated.body.with_changes(body=[*updated.body.body, *self._made])
        self._made = []
        return updated.with_changes(body=body)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        return updated_node.with_changes(body=[*updated_node.body, *self._global])

    def inputs(self, node: cst.CSTNode) -> list[str] | None:
        """Return the variables of the function that a piece of it reads, None where it cannot be moved."""
        assert self.function is not None
        found = uses(node)
        known = local_names(self.function)
        given = [name for name in found.inputs if name in known]
        return None if found.nests or found.jumps or set(given) & found.stores else given

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        """Define the helper; return what calls it."""
        if self.is_method:
            given = ["self", *(each for each in given if each != "self")]
        self._put(self._definition(self.helper, given, body, is_async=is_async))
        return self._call(given, is_async=is_async)

    def _put(self, made: cst.FunctionDef) -> None:
        """Put a helper into the class around, or into the module."""
        (self._made if self._classes else self._global).append(made)

    def _call(self, given: list[str], *, is_async: bool) -> str:
        waits = "await " if is_async else ""
        if self.is_method:
            return f"{waits}self.{self.helper}({', '.join(given[1:])})"
        return f"{waits}{self.helper}({', '.join(given)})"

    def _definition(
        self, name: str, given: list[str], body: list[cst.BaseStatement], *, is_async: bool
    ) -> cst.FunctionDef:
        assert self.function is not None
        annotations = parameters(self.function)
        params = [cst.Param(cst.Name(each), annotations.get(each)) for each in given]
        made = cst.FunctionDef(
            cst.Name(name),
            cst.Parameters(params),
            block(body),
            asynchronous=cst.Asynchronous() if is_async else None,
        )
        return spaced(made)


class StatementMoved(Extraction):
    """A statement in a helper."""

    def _moved(self, original: cst.BaseStatement, node: cst.BaseStatement) -> cst.BaseStatement:
        if self.function is None or self.function.name.value == "__init__" or not self.is_apt(original):
            return node
        given = self.inputs(original)
        stores = uses(original).stores
        if given is None or not stores.isdisjoint(self._read_elsewhere(original)) or not self.take():
            return node
        bare = node.with_changes(leading_lines=[])
        call = self.made(given, [bare], is_async=uses(original).awaits)
        return statement(call).with_changes(leading_lines=node.leading_lines)

    def is_apt(self, node: cst.BaseStatement) -> bool:
        """Tell whether this is a statement to move."""
        small = only(node)
        match small:
            case cst.Expr(value=cst.SimpleString()):
                return False
            case cst.Expr() | cst.Assign() | cst.AugAssign() | cst.Del():
                return True
            case _:
                return small is None

    def _read_elsewhere(self, node: cst.CSTNode) -> set[str]:
        assert self.function is not None
        every, here = uses(self.function.body).loads, uses(node).loads
        return {name for name in set(every) if every.count(name) > here.count(name)}

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Lines:
        return self._moved(original_node, updated_node)

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> Lines:
        return updated_node if original_node in self._others else self._moved(original_node, updated_node)

    def visit_If(self, node: cst.If) -> None:
        if isinstance(node.orelse, cst.If):
            self._others.add(node.orelse)

    def edited(self, text: str) -> str:
        self._others: set[cst.If] = set()
        return super().edited(text)

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> Lines:
        return self._moved(original_node, updated_node)

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> Lines:
        return self._moved(original_node, updated_node)

    def leave_Try(self, original_node: cst.Try, updated_node: cst.Try) -> Lines:
        return self._moved(original_node, updated_node)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> Lines:
        return self._moved(original_node, updated_node)


class StatementMovedDeeper(StatementMoved):
    """A statement in a helper that a helper calls."""

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        if self.is_method:
            given = ["self", *(each for each in given if each != "self")]
        inner = self._definition("_inner", given, body, is_async=is_async)
        call = self._call(given, is_async=is_async).replace(self.helper, "_inner")
        outer = self._definition(self.helper, given, [statement(call)], is_async=is_async)
        self._put(outer)
        self._put(inner)
        return self._call(given, is_async=is_async)


class StatementMovedIntoTheModule(StatementMoved):
    """A statement of a method in a function of the module, which is given the object."""

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        owner = self._classes[0].name.value if self._classes else ""
        new = [each.visit(_Owner()) for each in body]
        names = ["owner" if each == "self" else each for each in given]
        made = self._definition(self.helper, names, new, is_async=is_async)
        params = [
            each.with_changes(annotation=cst.Annotation(cst.Name(owner)))
            if each.name.value == "owner"
            else each
            for each in made.params.params
        ]
        self._global.append(made.with_changes(params=made.params.with_changes(params=params)))
        return f"{'await ' if is_async else ''}{self.helper}({', '.join(given)})"


class _Owner(cst.CSTTransformer):
    """`self` under another name."""

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return cst.Name("owner") if original_node.value == "self" else updated_node


class StatementMovedIntoAStaticMethod(StatementMoved):
    """A statement that speaks of no object in a static method of the class."""

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        made = self._definition(self.helper, given, body, is_async=is_async)
        self._made.append(made.with_changes(decorators=[cst.Decorator(cst.Name("staticmethod"))]))
        return f"{'await ' if is_async else ''}self.{self.helper}({', '.join(given)})"

    def is_apt(self, node: cst.BaseStatement) -> bool:
        return super().is_apt(node) and self.is_method and "self" not in uses(node).loads


class StatementMovedWithItsObjects(StatementMoved):
    """A statement in a function of the module, which is given the attributes that it speaks of."""

    def is_apt(self, node: cst.BaseStatement) -> bool:
        if not isinstance(only(node), cst.Expr) or not self.is_method:
            return False
        found = _Objects()
        node.visit(found)
        return bool(found.found) and found.others == 0

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        found = _Objects()
        for each in body:
            each.visit(found)
        new = [each.visit(_Given()) for each in body]
        names = [each for each in given if each != "self"]
        self._global.append(
            self._definition(
                self.helper, [*(f"the_{each}" for each in found.found), *names], new, is_async=is_async
            )
        )
        values = [*(f"self.{each}" for each in found.found), *names]
        return f"{'await ' if is_async else ''}{self.helper}({', '.join(values)})"


class _Objects(cst.CSTVisitor):
    """The attributes of `self` whose methods are called, and how often it is spoken of in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.others = 0

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        match node.value:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                if name not in self.found:
                    self.found.append(name)
                return False
            case _:
                return True

    def visit_Name(self, node: cst.Name) -> None:
        self.others += node.value == "self"


class _Given(cst.CSTTransformer):
    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        match original_node:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                return cst.Name(f"the_{name}")
            case _:
                return updated_node


class StatementMovedIntoAClosure(StatementMoved):
    """A statement in a function that is defined just before it."""

    def made(self, given: list[str], body: list[cst.BaseStatement], *, is_async: bool) -> str:
        self._nested = self._definition(self.helper, [], body, is_async=is_async)
        return f"{'await ' if is_async else ''}{self.helper}()"

    def _moved(self, original: cst.BaseStatement, node: cst.BaseStatement) -> Lines:
        self._nested: cst.FunctionDef | None = None
        moved = super()._moved(original, node)
        return moved if self._nested is None else before(moved, [self._nested])

    def is_apt(self, node: cst.BaseStatement) -> bool:
        return super().is_apt(node) and not uses(node).stores


class ValueMoved(Extraction):
    """The value of an assignment or a `return` in a helper that returns it."""

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Lines:
        small = only(original_node)
        value = small.value if isinstance(small, cst.Assign | cst.Return) else None
        if (
            self.function is None
            or value is None
            or is_still(value)
            or self.function.name.value == "__init__"
        ):
            return updated_node
        given = self.inputs(value)
        if given is None or not self.take():
            return updated_node
        body = self.returned(value)
        call = self.made(given, body, is_async=uses(value).awaits)
        return updated_node.with_changes(body=[small.with_changes(value=cst.parse_expression(call))])

    def returned(self, value: cst.BaseExpression) -> list[cst.BaseStatement]:
        """Return the body of the helper."""
        return [cst.SimpleStatementLine([cst.Return(value)])]


class ValueMovedAndNamed(ValueMoved):
    """A helper that binds what it returns."""

    def returned(self, value: cst.BaseExpression) -> list[cst.BaseStatement]:
        return statements(f"result = {code(value)}\nreturn result")


class ConditionMoved(Extraction):
    """The condition of an `if` or `while` in a helper that tells whether it holds."""

    def _asked(self, test: cst.BaseExpression) -> cst.BaseExpression | None:
        if self.function is None or is_still(test):
            return None
        given = self.inputs(test)
        if given is None or uses(test).stores or not self.take():
            return None
        return cst.parse_expression(self.made(given, self.answered(test), is_async=uses(test).awaits))

    def answered(self, test: cst.BaseExpression) -> list[cst.BaseStatement]:
        """Return the body of the helper."""
        return [cst.SimpleStatementLine([cst.Return(test)])]

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        test = self._asked(original_node.test)
        if test is None:
            return updated_node
        return updated_node.with_changes(test=test, whitespace_before_test=cst.SimpleWhitespace(" "))

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> cst.BaseStatement:
        test = self._asked(original_node.test)
        if test is None:
            return updated_node
        return updated_node.with_changes(test=test, whitespace_after_while=cst.SimpleWhitespace(" "))


class ConditionMovedAndBranched(ConditionMoved):
    """A helper that returns `True` or `False` in two places."""

    def answered(self, test: cst.BaseExpression) -> list[cst.BaseStatement]:
        return statements(f"if {code(test)}:\n    return True\nreturn False")


class BodyMoved(Extraction):
    """The whole body of a function in a helper that it calls."""

    def in_function(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.CSTNode:
        if self._functions or len(self._classes) > 1 or original.decorators:
            return updated
        found = uses(original.body)
        params = parameters(original)
        plain = not _yields(original) and not _keeps_body(original) and not original.params.kwonly_params
        if not plain or original.name.value.startswith("_") or original.params.star_arg not in _NO_STAR:
            return updated
        if "super" in found.loads or not self.take():
            return updated
        given = list(params)
        is_async = original.asynchronous is not None
        helper = updated.with_changes(name=cst.Name(self.helper), leading_lines=[cst.EmptyLine(indent=False)])
        is_method = bool(self._classes)
        (self._made if is_method else self._global).append(helper)
        called = f"self.{self.helper}" if is_method else self.helper
        passed = ", ".join(given[1:] if is_method else given)
        call = f"return {'await ' if is_async else ''}{called}({passed})"
        return updated.with_changes(body=block([statement(call)]))


_NO_STAR = (None, cst.MaybeSentinel.DEFAULT)


def _keeps_body(function: cst.FunctionDef) -> bool:
    """Tell whether a function has no body to speak of."""
    lines = function.body.body
    return all(is_text(line) or code(line).strip() in ("...", "pass") for line in lines)


class _Yields(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def visit_Yield(self, node: cst.Yield) -> None:
        self.found = True


def _yields(function: cst.FunctionDef) -> bool:
    found = _Yields()
    function.visit(found)
    return found.found


class TailMoved(Extraction):
    """The second half of a body, with its returns, in a helper: `return await self._part()`."""

    def in_function(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.CSTNode:
        if self._functions or len(self._classes) > 1 or original.decorators or _yields(original):
            return updated
        if not isinstance(updated.body, cst.IndentedBlock) or len(updated.body.body) < 2:
            return updated
        lines = updated.body.body
        half = len(lines) // 2
        first, rest = block(list(lines[:half])), block(list(lines[half:]))
        found = uses(rest)
        known = {*parameters(original), *uses(first).stores}
        given = [name for name in found.inputs if name in known]
        if found.nests or uses(first).nests or set(given) & found.stores or "super" in found.loads:
            return updated
        if (bool(self._classes) and "self" not in known) or not self.take():
            return updated
        self._functions.append(original)
        call = self.made(given, list(lines[half:]), is_async=found.awaits)
        self._functions.pop()
        last = statement(f"return {call}")
        return updated.with_changes(body=updated.body.with_changes(body=[*lines[:half], last]))


class ClassMoved(Edit):
    """A class in a module of its own, from which it is imported."""

    def edit(self, files: Files) -> Files:
        self._moved = ""
        self._text = ""
        found = {}
        for path, text in files.items():
            found[path] = self.edited(text)
            if self._moved:
                folder, _, _ = path.rpartition("/")
                found[f"{folder}/moved.py" if folder else "moved.py"] = self._moved
                self._moved = ""
        return found

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        defined = {
            each.name.value for each in original_node.body if isinstance(each, cst.ClassDef | cst.FunctionDef)
        }
        for line in original_node.body:
            if isinstance(line, cst.SimpleStatementLine) and not is_import(line):
                defined |= uses(line).stores
        imports = [each for each in original_node.body if is_import(each)]
        for at, each in enumerate(updated_node.body):
            if not isinstance(each, cst.ClassDef) or each.decorators:
                continue
            others = set(uses(each).loads) & (defined - {each.name.value})
            if others or _quotes(each, defined - {each.name.value}) or not self.take():
                continue
            self._moved = cst.Module([*imports, each]).code
            rest = [*updated_node.body[:at], *updated_node.body[at + 1 :]]
            line = statement(f"from moved import {each.name.value}")
            return after_imports(updated_node.with_changes(body=rest), [line])
        return updated_node


def _quotes(cls: cst.ClassDef, names: set[str]) -> bool:
    return any(f'"{name}' in code(cls) for name in names)


HELPERS: tuple[type[Edit], ...] = (
    StatementMoved,
    StatementMovedDeeper,
    StatementMovedIntoTheModule,
    StatementMovedIntoAStaticMethod,
    StatementMovedWithItsObjects,
    StatementMovedIntoAClosure,
    ValueMoved,
    ValueMovedAndNamed,
    ConditionMoved,
    ConditionMovedAndBranched,
    BodyMoved,
    TailMoved,
    ClassMoved,
)
