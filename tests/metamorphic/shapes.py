"""Conditions, branches, loops and managers written in another way."""

from itertools import pairwise

import libcst as cst

from tests.metamorphic.editing import (
    Edit,
    added,
    after_imports,
    before,
    block,
    code,
    is_path,
    only,
    receiver,
    spaced,
    statement,
    statements,
    uses,
)

Lines = cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]


class _Branches(Edit):
    """A change of an `if` that is no `elif`."""

    def visit_If(self, node: cst.If) -> None:
        if isinstance(node.orelse, cst.If):
            self._others.add(node.orelse)

    def edited(self, text: str) -> str:
        self._others: set[cst.If] = set()
        return super().edited(text)

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> Lines:
        if self.function is None or original_node in self._others:
            return updated_node
        return self.changed(original_node, updated_node)

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        """Return what becomes of the statement."""
        raise NotImplementedError


def _tested(node: cst.If, test: cst.BaseExpression) -> cst.If:
    return node.with_changes(test=test, whitespace_before_test=cst.SimpleWhitespace(" "))


class ConditionInAVariable(_Branches):
    """`is_so = …`, then `if is_so:`."""

    keeps_lines = True

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        if isinstance(node.test, cst.Name) or not self.take():
            return node
        line = added(statement(f"is_so = {code(node.test)}"))
        return before(_tested(node, cst.Name("is_so")), [line])


class NegatedConditionInAVariable(_Branches):
    """`is_not = not …`, then `if not is_not:`."""

    keeps_lines = True

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        if not self.take():
            return node
        line = added(statement(f"is_not = not ({code(node.test)})"))
        return before(_tested(node, cst.parse_expression("not is_not")), [line])


class PartOfConditionInAVariable(_Branches):
    """`first = a`, then `if first and b:`."""

    keeps_lines = True

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        if not isinstance(node.test, cst.BooleanOperation) or not self.take():
            return node
        line = added(statement(f"first = {code(node.test.left)}"))
        return before(_tested(node, node.test.with_changes(left=cst.Name("first"))), [line])


class NestedConditions(_Branches):
    """`if a:` and in it `if b:`, for `if a and b:`."""

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        match node:
            case cst.If(test=cst.BooleanOperation(operator=cst.And(), left=left, right=right), orelse=None):
                if not self.take():
                    return node
                inner = _tested(node.with_changes(leading_lines=[]), right)
                return _tested(node, left).with_changes(body=block([inner]))
            case _:
                return node


class BranchesSwapped(_Branches):
    """`if not a: … else: …` with the branches the other way round."""

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        if not isinstance(node.orelse, cst.Else) or not self.take():
            return node
        swapped = node.with_changes(body=node.orelse.body, orelse=cst.Else(node.body))
        return _tested(swapped, cst.parse_expression(f"not ({code(node.test)})"))


class PassForNothing(_Branches):
    """`if not a: pass`, `else: …`, for `if a: …`."""

    def changed(self, original: cst.If, node: cst.If) -> Lines:
        if node.orelse is not None or not self.take():
            return node
        swapped = node.with_changes(body=block([statement("pass")]), orelse=cst.Else(node.body))
        return _tested(swapped, cst.parse_expression(f"not ({code(node.test)})"))


class BoolAround(Edit):
    """`if bool(x):` and `while bool(x):`."""

    keeps_lines = True
    everywhere = True

    def _wrapped(self, node: cst.If | cst.While) -> cst.If | cst.While:
        if isinstance(node.test, cst.NamedExpr | cst.Name) and code(node.test) in ("True", "False"):
            return node
        self.offered += 1
        test = cst.Call(cst.Name("bool"), [cst.Arg(node.test)])
        return node.with_changes(test=test, **{_SPACE[type(node)]: cst.SimpleWhitespace(" ")})

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        return self._wrapped(updated_node)

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> cst.BaseStatement:
        return self._wrapped(updated_node)


_SPACE: dict[type[cst.BaseStatement], str] = {
    cst.If: "whitespace_before_test",
    cst.While: "whitespace_after_while",
}


class IfTrue(Edit):
    """`if True:` around a statement."""

    def _wrapped(self, original: cst.BaseStatement, node: cst.BaseStatement) -> cst.BaseStatement:
        if self.function is None or not self.take():
            return node
        return cst.If(cst.Name("True"), block([node]))

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        return self._wrapped(original_node, updated_node)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.BaseStatement:
        return self._wrapped(original_node, updated_node)

    def leave_Try(self, original_node: cst.Try, updated_node: cst.Try) -> cst.BaseStatement:
        return self._wrapped(original_node, updated_node)

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> cst.BaseStatement:
        return self._wrapped(original_node, updated_node)


class _InBlocks(Edit):
    """A change of the statements of a block in a function."""

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        if self.function is None:
            return updated_node
        return updated_node.with_changes(body=self.changed(list(updated_node.body)))

    def changed(self, lines: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
        """Return what becomes of the statements."""
        raise NotImplementedError


_LEAVES = (cst.Return, cst.Raise, cst.Continue, cst.Break)


def _leaves(body: cst.BaseSuite) -> bool:
    return isinstance(body, cst.IndentedBlock) and isinstance(only(body.body[-1]), _LEAVES)


class ElseForEarlyReturn(_InBlocks):
    """`if a: return` and the rest in an `else`."""

    def changed(self, lines: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
        for at, line in enumerate(lines[:-1]):
            if isinstance(line, cst.If) and line.orelse is None and _leaves(line.body) and self.take():
                return [*lines[:at], line.with_changes(orelse=cst.Else(block(lines[at + 1 :])))]
        return lines


class WhileTrue(Edit):
    """`while True:` that begins with `if not x: break`."""

    def leave_While(self, original_node: cst.While, updated_node: cst.While) -> cst.BaseStatement:
        endless = code(original_node.test) in ("True", "1")
        if endless or updated_node.orelse is not None or self.function is None or not self.take():
            return updated_node
        assert isinstance(updated_node.body, cst.IndentedBlock)
        (ends,) = statements(f"if not ({code(updated_node.test)}):\n    break")
        body = updated_node.body.with_changes(body=[ends, *updated_node.body.body])
        return updated_node.with_changes(
            test=cst.Name("True"), body=body, whitespace_after_while=cst.SimpleWhitespace(" ")
        )


class ChosenInBranches(Edit):
    """`if c: return a` and `else: return b`, for `return a if c else b`."""

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Lines:
        match only(updated_node):
            case (cst.Return(value=cst.IfExp() as chosen) | cst.Assign(value=cst.IfExp() as chosen)) as small:
                if self.function is None or not self.take():
                    return updated_node
                one = updated_node.with_changes(
                    body=[small.with_changes(value=chosen.body)], leading_lines=[]
                )
                two = one.with_changes(body=[small.with_changes(value=chosen.orelse)])
                branches = cst.If(chosen.test, block([one]), cst.Else(block([two])))
                return branches.with_changes(leading_lines=updated_node.leading_lines)
            case _:
                return updated_node


# --------------------------------------------------------------------------- exceptions


class ExceptionsInAConstant(Edit):
    """`GONE = (OSError, EOFError)` in the module, and `except GONE:`."""

    keeps_lines = True

    def edited(self, text: str) -> str:
        self._caught: str | None = None
        return super().edited(text)

    def leave_ExceptHandler(
        self, original_node: cst.ExceptHandler, updated_node: cst.ExceptHandler
    ) -> cst.ExceptHandler:
        if original_node.type is None or not self._is_outside(original_node.type) or not self.take():
            return updated_node
        self._caught = code(original_node.type)
        return updated_node.with_changes(
            type=cst.Name("CAUGHT"), whitespace_after_except=cst.SimpleWhitespace(" ")
        )

    def _is_outside(self, types: cst.BaseExpression) -> bool:
        return all(name in _BUILT_IN or name in ("asyncio", "anyio", "trio") for name in uses(types).loads)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        if self._caught is None:
            return updated_node
        return after_imports(updated_node, [added(statement(f"CAUGHT = {self._caught}"))])


_BUILT_IN = frozenset({"OSError", "EOFError", "Exception", "BaseException", "TimeoutError", "ValueError"})


class ExceptionsInATuple(Edit):
    """`except (E,):` for `except E:`."""

    keeps_lines = True
    everywhere = True

    def leave_ExceptHandler(
        self, original_node: cst.ExceptHandler, updated_node: cst.ExceptHandler
    ) -> cst.ExceptHandler:
        if original_node.type is None or not is_path(original_node.type):
            return updated_node
        self.offered += 1
        return updated_node.with_changes(
            type=cst.Tuple([cst.Element(original_node.type, cst.Comma())]),
            whitespace_after_except=cst.SimpleWhitespace(" "),
        )


class RaisedByName(Edit):
    """`raise error` for the `raise` of a handler `except … as error`."""

    keeps_lines = True

    def edited(self, text: str) -> str:
        self._handlers: list[str] = []
        return super().edited(text)

    def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:
        name = node.name.name if node.name is not None else None
        self._handlers.append(name.value if isinstance(name, cst.Name) else "")

    def leave_ExceptHandler(
        self, original_node: cst.ExceptHandler, updated_node: cst.ExceptHandler
    ) -> cst.ExceptHandler:
        name = self._handlers.pop()
        if name or original_node.type is None or not _raises_again(original_node.body) or not self.take():
            return updated_node
        space = cst.SimpleWhitespace(" ")
        body = updated_node.body.visit(_Raised())
        return updated_node.with_changes(name=cst.AsName(cst.Name("caught"), space, space), body=body)


def _raises_again(body: cst.BaseSuite) -> bool:
    last = only(body.body[-1]) if isinstance(body, cst.IndentedBlock) else None
    return isinstance(last, cst.Raise) and last.exc is None


class _Raised(cst.CSTTransformer):
    def visit_Try(self, node: cst.Try) -> bool:
        return False

    def leave_Raise(self, original_node: cst.Raise, updated_node: cst.Raise) -> cst.Raise:
        if original_node.exc is not None:
            return updated_node
        return cst.Raise(cst.Name("caught"), whitespace_after_raise=cst.SimpleWhitespace(" "))


# --------------------------------------------------------------------------- managers


class _Locks(cst.CSTVisitor):
    """The names and attributes that a text makes locks of, and whether one of asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def _made(self, target: cst.CSTNode, text: str) -> None:
        kinds = ("Lock(", "Semaphore(", "Condition(", ".Lock", "Limiter(")
        if any(kind in text for kind in kinds) and "dict" not in text and "list" not in text:
            self.found.add(code(target))

    def visit_Assign(self, node: cst.Assign) -> None:
        for each in node.targets:
            self._made(each.target, code(node.value))

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._made(node.target, code(node.annotation.annotation))

    def visit_Param(self, node: cst.Param) -> None:
        if node.annotation is not None:
            self._made(node.name, code(node.annotation.annotation))


class TryForWith(Edit):
    """`await lock.acquire()`, `try: …`, `finally: lock.release()`, for `async with lock:`."""

    def edited(self, text: str) -> str:
        locks = _Locks()
        module = cst.parse_module(text)
        module.visit(locks)
        self._locks = locks.found
        return module.visit(self).code

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> Lines:
        match updated_node:
            case cst.With(items=[cst.WithItem(item=item, asname=None)]) if code(item) in self._locks:
                if self.function is None or not self.take():
                    return updated_node
                lock = code(item)
                waits = "await " if updated_node.asynchronous is not None else ""
                guarded = cst.Try(
                    updated_node.body, finalbody=cst.Finally(block([statement(f"{lock}.release()")]))
                )
                first = statement(f"{waits}{lock}.acquire()")
                return cst.FlattenSentinel(
                    [first.with_changes(leading_lines=updated_node.leading_lines), guarded]
                )
            case _:
                return updated_node


class WithForTry(_InBlocks):
    """`async with lock:` for `await lock.acquire()`, `try: …`, `finally: lock.release()`."""

    def changed(self, lines: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
        for at, (line, following) in enumerate(pairwise(lines)):
            small = only(line)
            match small, following:
                case (
                    cst.Expr(value=value),
                    cst.Try(
                        handlers=[], orelse=None, finalbody=cst.Finally(body=cst.IndentedBlock(body=[last]))
                    ),
                ):
                    taken = code(value).removeprefix("await ").removesuffix(".acquire()")
                    if code(last).strip() != f"{taken}.release()" or not self.take():
                        continue
                    is_async = cst.Asynchronous() if isinstance(value, cst.Await) else None
                    item = cst.WithItem(cst.parse_expression(taken))
                    new = cst.With([item], following.body, asynchronous=is_async)
                    return [*lines[:at], new.with_changes(leading_lines=line.leading_lines), *lines[at + 2 :]]
        return lines


class ManagerOnAStack(Edit):
    """`stack.enter_context(…)` within `with ExitStack() as stack:`."""

    def edited(self, text: str) -> str:
        self._is_used = False
        return super().edited(text)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> Lines:
        if len(updated_node.items) != 1 or self.function is None or not self.take():
            return updated_node
        self._is_used = True
        item = updated_node.items[0]
        is_async = updated_node.asynchronous is not None
        call = "await stack.enter_async_context" if is_async else "stack.enter_context"
        bound = "" if item.asname is None else f"{code(item.asname.name)} = "
        line = statement(f"{bound}{call}({code(item.item)})")
        stack = "contextlib.AsyncExitStack()" if is_async else "contextlib.ExitStack()"
        entered = cst.WithItem(cst.parse_expression(stack), cst.AsName(cst.Name("stack")))
        assert isinstance(updated_node.body, cst.IndentedBlock)
        body = updated_node.body.with_changes(body=[line, *updated_node.body.body])
        return updated_node.with_changes(items=[entered], body=body)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        imported = statement("import contextlib")
        return after_imports(updated_node, [imported]) if self._is_used else updated_node


class ManagersNested(Edit):
    """`with a:` and in it `with b:`, for `with a, b:`."""

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> Lines:
        if len(updated_node.items) < 2 or not self.take():
            return updated_node
        first, *rest = (each.with_changes(comma=cst.MaybeSentinel.DEFAULT) for each in updated_node.items)
        separated = [each.with_changes(comma=cst.Comma()) for each in rest[:-1]]
        inner = updated_node.with_changes(items=[*separated, rest[-1]], leading_lines=[])
        return updated_node.with_changes(items=[first], body=block([inner]))


class ManagerInAVariable(Edit):
    """`manager = timeout(5)`, then `async with manager:`."""

    keeps_lines = True

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> Lines:
        first = updated_node.items[0]
        if isinstance(first.item, cst.Name) or self.function is None or not self.take():
            return updated_node
        line = added(statement(f"manager = {code(first.item)}"))
        items = [first.with_changes(item=cst.Name("manager")), *updated_node.items[1:]]
        return before(updated_node.with_changes(items=items), [line])


class CleanupByAManager(Edit):
    """`try: yield`, `finally: …` in a manager of the module, for `try: …`, `finally: …`.

    Not where the body binds a variable again that the cleanup reads: the manager would have the old value.
    """

    def edited(self, text: str) -> str:
        self._made: list[cst.FunctionDef] = []
        return super().edited(text)

    def leave_Try(self, original_node: cst.Try, updated_node: cst.Try) -> Lines:
        match updated_node:
            case cst.Try(handlers=[], orelse=None, finalbody=cst.Finally(body=cst.IndentedBlock() as last)):
                found = uses(last)
                again = uses(updated_node.body).stores & set(found.inputs)
                moves = not (found.stores or found.jumps or found.nests or again)
                if self.function is None or not moves or not self.take():
                    return updated_node
                known = uses(self.function.body).stores | {name.value for name in _params(self.function)}
                given = [name for name in found.inputs if name in known]
                self._made.append(_manager(given, last, is_async=found.awaits))
                call = cst.WithItem(cst.parse_expression(f"_cleaning({', '.join(given)})"))
                is_async = cst.Asynchronous() if found.awaits else None
                new = cst.With([call], updated_node.body, asynchronous=is_async)
                return new.with_changes(leading_lines=updated_node.leading_lines)
            case _:
                return updated_node

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        if not self._made:
            return updated_node
        return after_imports(updated_node, [statement("import contextlib"), *self._made])


def _params(function: cst.FunctionDef) -> list[cst.Name]:
    return [each.name for each in (*function.params.params, *function.params.kwonly_params)]


def _manager(given: list[str], last: cst.IndentedBlock, *, is_async: bool) -> cst.FunctionDef:
    kind = "async" if is_async else ""
    maker = "asynccontextmanager" if is_async else "contextmanager"
    (made,) = statements(
        f"@contextlib.{maker}\n{kind} def _cleaning({', '.join(given)}):\n"
        "    try:\n        yield\n    finally:\n        pass\n".replace("\n def", "\ndef")
    )
    assert isinstance(made, cst.FunctionDef)
    (guarded,) = made.body.body
    assert isinstance(guarded, cst.Try)
    body = block([guarded.with_changes(finalbody=cst.Finally(last))])
    return spaced(made.with_changes(body=body))


# --------------------------------------------------------------------------- classes


class SubclassAdded(Edit):
    """A class has a subclass that adds nothing."""

    keeps_lines = True

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        body = list(updated_node.body)
        for each in original_node.body:
            if isinstance(each, cst.ClassDef) and self.take():
                body.extend(statements(f"class Derived({each.name.value}): pass  # added"))
        return updated_node.with_changes(body=body)


class BaseAdded(Edit):
    """The constructor stands in a base class."""

    def in_class(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.CSTNode:
        inits = [each for each in updated.body.body if _is_constructor(each)]
        plain = not self._classes and not original.bases and not original.decorators
        if not plain or len(inits) != 1 or len(updated.body.body) < 2 or not self.take():
            return updated
        assert isinstance(updated.body, cst.IndentedBlock)
        base = updated.with_changes(
            name=cst.Name(f"{original.name.value}Base"), body=block(inits), leading_lines=[]
        )
        rest = [each for each in updated.body.body if each is not inits[0]]
        derived = updated.with_changes(
            bases=[cst.Arg(cst.Name(base.name.value))],
            lpar=cst.LeftParen(),
            rpar=cst.RightParen(),
            body=updated.body.with_changes(body=rest),
        )
        return cst.FlattenSentinel([base, derived])


def _is_constructor(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.FunctionDef) and line.name.value == "__init__" and receiver(line) is not None


SHAPES: tuple[type[Edit], ...] = (
    ConditionInAVariable,
    NegatedConditionInAVariable,
    PartOfConditionInAVariable,
    NestedConditions,
    BranchesSwapped,
    PassForNothing,
    BoolAround,
    IfTrue,
    ElseForEarlyReturn,
    WhileTrue,
    ChosenInBranches,
    ExceptionsInAConstant,
    ExceptionsInATuple,
    RaisedByName,
    TryForWith,
    WithForTry,
    ManagerOnAStack,
    ManagersNested,
    ManagerInAVariable,
    CleanupByAManager,
    SubclassAdded,
    BaseAdded,
)
