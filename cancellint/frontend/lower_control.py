"""Lowering of statements: control flow becomes blocks and edges.

`finally`, exits and handlers are copied for each completion that leads into them (`lower_completions`). From
the fourth level of copies within copies on, the completions share one copy whose end has an edge for each,
so that nesting does not multiply without bound.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from sys import intern
from typing import Final, NamedTuple, TypeAlias

import libcst as cst

from cancellint.frontend import lower_literals as literals
from cancellint.frontend import lower_patterns
from cancellint.frontend.lower_completions import (
    CANCELLED,
    RAISED,
    RETURNED,
    Cleanup,
    Completion,
    Guarded,
    Handling,
    Label,
    LoopNesting,
    Nesting,
    Target,
    handling,
)
from cancellint.frontend.lower_definitions import contract_of, is_old_coroutine
from cancellint.frontend.lower_dispatch import on
from cancellint.frontend.lower_expressions import Expressions, augmented_operator
from cancellint.frontend.lower_handlers import (
    Catches,
    catches_cancellation,
    catches_every_error,
    is_cancellation,
    members,
    says_what_it_is,
)
from cancellint.frontend.lower_stacks import pushed_on_stack, stack_seen_through
from cancellint.frontend.scopes import Scope, SyntaxScopes, bound_by_import, bound_in
from cancellint.model import ir
from cancellint.model.ir import Leaves


class _Opened(NamedTuple):
    """The region of a context manager while its body is lowered."""

    value: ir.Expr
    region: int
    asynchronous: bool
    node: cst.BaseExpression
    frame: Cleanup
    after: Label


_Handlers: TypeAlias = Sequence[cst.ExceptHandler | cst.ExceptStarHandler]
_Edges: TypeAlias = list[tuple[Target, Leaves]]

_DEEPEST_COPY = 3
"""How many copies lie within each other before completions share one."""


class Statements(Expressions):
    """Lowers the statements of one scope into its graph."""

    def __init__(self, scopes: SyntaxScopes, scope: Scope) -> None:
        super().__init__(scopes, scope)
        self.loops = 0
        self.copies = 0
        self.outer_names: set[str] = set()
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()
        self.annotations: list[ir.Annotation] = []

    def suite(self, node: cst.BaseSuite) -> None:
        self.statements(node.body)

    def statements(self, body: Sequence[cst.BaseStatement] | Sequence[cst.BaseSmallStatement]) -> None:
        """Lower statements one after another, up to the first that control does not reach."""
        for i, statement in enumerate(body):
            if self.current is None:
                self._unreached(body[i:])
                return
            if type(statement) is cst.SimpleStatementLine:
                self.statements(statement.body)
            else:
                _STATEMENTS[type(statement)](self, statement)

    def _unreached(self, nodes: Sequence[cst.CSTNode]) -> None:
        """Note what code that never runs still decides about the scope."""
        names, yields, yields_from = bound_in(nodes)
        self.bound |= names
        self.yields |= yields
        self.yields_from |= yields_from

    # ------------------------------------------------------------------ simple statements

    def _nothing(self, node: cst.BaseSmallStatement) -> None:
        """`pass`."""

    def _expression(self, node: cst.Expr) -> None:
        self.dropped = node.value
        value = self.expr(node.value)
        if type(value) is not ir.Temp and type(value) is not ir.Const:
            self.risky = True
            self.emit(ir.Evaluate(value), node.value)

    def _assign(self, node: cst.Assign) -> None:
        value = self.expr(node.value)
        for target in node.targets:
            self.store(target.target, value, node)

    def _annotated(self, node: cst.AnnAssign) -> None:
        match node.target:
            case cst.Name(value=name):
                self.bound.add(name)
                self._annotate(name, node)
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                self._annotate(f"self.{name}", node)
        if node.value is not None:
            self.store(node.target, self.expr(node.value), node)

    def _annotate(self, name: str, node: cst.AnnAssign) -> None:
        found = ir.Annotation(name, self.annotation(node.annotation.annotation))
        if found not in self.annotations:
            self.annotations.append(found)

    def _augmented(self, node: cst.AugAssign) -> None:
        place = self.target(node.target)
        read = self.load(place, node.target).step if self.outlasts(place, (node.value,)) else -1
        value = self.expr(node.value)
        self.risky = True
        self.emit(ir.Assign(place, value, augmented_operator(node), read), node)

    def _delete(self, node: cst.Del) -> None:
        waiting: list[cst.BaseExpression] = [node.target]
        while waiting:
            target = waiting.pop()
            if isinstance(target, cst.Tuple | cst.List):
                waiting.extend(element.value for element in reversed(target.elements))
                continue
            self.risky = True
            self.emit(ir.Delete(self.target(target)), node if target is node.target else target)

    def _global(self, node: cst.Global) -> None:
        self.global_names.update(item.name.value for item in node.names)

    def _nonlocal(self, node: cst.Nonlocal) -> None:
        self.nonlocal_names.update(item.name.value for item in node.names)

    def _import(self, node: cst.Import | cst.LazyImport) -> None:
        for alias in node.names:
            dotted = _dotted(alias.name)
            module = dotted if alias.asname is not None else dotted.partition(".")[0]
            self._bind_import(alias, ir.Imported(module, 0, None))

    def _import_from(self, node: cst.ImportFrom | cst.LazyImportFrom) -> None:
        module = "" if node.module is None else _dotted(node.module)
        level = len(node.relative)
        self.risky = True
        if isinstance(node.names, cst.ImportStar):
            self.emit(ir.StarImport(module, level), node)
            return
        for alias in node.names:
            self._bind_import(alias, ir.Imported(module, level, _dotted(alias.name)))

    def _bind_import(self, alias: cst.ImportAlias, imported: ir.Imported) -> None:
        name = bound_by_import(alias)
        self.bound.add(name)
        what = imported.name or imported.module.rpartition(".")[2]
        if not says_what_it_is(what, imported.module, imported.level, name):
            self.scopes.own_names.add(name)
        self.risky = True
        self.emit(ir.Assign(self.name(name), imported), alias)

    def _type_alias(self, node: cst.TypeAlias) -> None:
        self.store(node.name, self.annotation(node.value), node)

    # ------------------------------------------------------------------ leaving

    def _return(self, node: cst.Return) -> None:
        value = literals.NAMED["None"] if node.value is None else self.expr(node.value)
        self.emit(ir.Return(value), node)
        self.leave((RETURNED,))

    def _break(self, node: cst.Break) -> None:
        self._jump(again=False)

    def _continue(self, node: cst.Continue) -> None:
        self._jump(again=True)

    def _jump(self, again: bool) -> None:
        frame: Nesting | None = self.frame
        while frame is not None and not isinstance(frame, LoopNesting):
            frame = frame.parent
        if frame is None:
            self.end()
        else:
            self.leave((Completion(Leaves.NORMAL, frame.identity, again),))

    def leave(self, completions: Sequence[Completion]) -> None:
        """End the current block by each of these completions."""
        if self.current is not None:
            self.end(*((self.target_of(completion), completion.leaves) for completion in completions))

    def _raise(self, node: cst.Raise) -> None:
        value = None if node.exc is None else self.expr(node.exc)
        if node.cause is not None:
            self.expr(node.cause.item)
        self.emit(ir.Raise(value), node)
        self.leave(self._raised_along(node.exc))

    def _raised_along(self, exc: cst.BaseExpression | None) -> tuple[Completion, ...]:
        """A handler that raises what it caught passes it on as what it is."""
        match exc:
            case None:
                handler = handling(self.frame)
            case cst.Name(value=name):
                handler = handling(self.frame, name)
            case _:
                handler = None
        if handler is not None:
            return handler.completions
        around = handling(self.frame)
        if (
            exc is not None
            and is_cancellation(exc)
            and around is not None
            and CANCELLED in around.completions
        ):
            return (CANCELLED,)
        return (RAISED,)

    def _assert(self, node: cst.Assert) -> None:
        holds, fails = Label(), Label()
        self.cond(node.test, holds, fails)
        if self.place(fails):
            error: ir.Expr = ir.Name("AssertionError")
            if node.msg is not None:
                error = ir.Op("call", (error, self.expr(node.msg)))
            self.emit(ir.Raise(error), node)
            self.leave((RAISED,))
        self.place(holds)

    # ------------------------------------------------------------------ branches and loops

    def _if(self, node: cst.If) -> None:
        done = Label()
        rest: cst.If | cst.Else | None = node
        while isinstance(rest, cst.If):
            body, orelse = Label(), Label()
            self.cond(rest.test, body, orelse)
            self._arm(body, rest.body, done)
            rest = rest.orelse
            if not self.place(orelse):
                break
        if self.current is not None:
            if rest is not None:
                self.suite(rest.body)
            self.end_at(done)
        elif rest is not None:
            self._unreached((rest,))
        self.place(done)

    def _arm(self, start: Label, body: cst.BaseSuite, done: Label) -> None:
        """Lower one branch, which begins at `start` and goes on at `done`."""
        if self.place(start):
            self.suite(body)
            self.end_at(done)
        else:
            self._unreached((body,))

    def _while(self, node: cst.While) -> None:
        head, body, orelse, after = Label(), Label(), Label(), Label()
        self.place(head)
        self.cond(node.test, body, orelse)
        self._loop_body(body, node.body, head, after)
        self._loop_else(orelse, node.orelse, after)

    def _for(self, node: cst.For) -> None:
        head, item, orelse, after = Label(), Label(), Label(), Label()
        value = self.expr(node.iter)
        self.place(head)
        taken = self.turn(value, node.asynchronous is not None, node.iter, item, orelse)
        self.place(item)
        self.store(node.target, taken, node.target)
        self._loop_body(None, node.body, head, after)
        self._loop_else(orelse, node.orelse, after)

    def _loop_body(self, start: Label | None, body: cst.BaseSuite, head: Label, after: Label) -> None:
        if start is not None and not self.place(start):
            self._unreached((body,))
            return
        self.loops += 1
        outer = self.frame
        self.frame = LoopNesting(outer, self.loops, head, after)
        self.suite(body)
        self.end_at(head)
        self.frame = outer

    def _loop_else(self, orelse: Label, node: cst.Else | None, after: Label) -> None:
        if self.place(orelse):
            if node is not None:
                self.suite(node.body)
            self.end_at(after)
        elif node is not None:
            self._unreached((node,))
        self.place(after)

    def _match(self, node: cst.Match) -> None:
        subject = self.expr(node.subject)
        if type(subject) is not ir.Name and type(subject) is not ir.Temp:
            subject = self.save(subject, node.subject)
        done = Label()
        for case in node.cases:
            if self.current is None:
                self._unreached((case,))
                continue
            other = Label()
            self._case(case, subject, done, other)
            self.place(other)
        self.end_at(done)
        self.place(done)

    def _case(self, node: cst.MatchCase, subject: ir.Expr, done: Label, other: Label) -> None:
        pattern = lower_patterns.read(node.pattern, subject, self.symbolic)
        fits = Label()
        if not pattern.irrefutable:
            self.risky = True
            test = ir.Op("match", (subject, *pattern.literals))
            self.end((fits, Leaves.TRUE), (other, Leaves.FALSE), test=test)
        self.place(fits)
        for name, value in pattern.captures:
            self.store(name, value, name)
        if node.guard is not None:
            body = Label()
            self.cond(node.guard, body, other)
            self.place(body)
        if self.current is None:
            self._unreached((node.body,))
            return
        self.suite(node.body)
        self.end_at(done)

    def _shift(self, frame: Nesting | None, inside: tuple[int, ...]) -> None:
        """Go on in other surroundings: what the block so far raises goes where it went before."""
        onward = Label()
        self.end_at(onward)
        self.frame, self.inside = frame, inside
        self.place(onward)

    # ------------------------------------------------------------------ with

    def _with(self, node: cst.With) -> None:
        """The items are entered from left to right and left from right to left."""
        asynchronous = node.asynchronous is not None
        stacks: set[str] = set()
        opened: list[_Opened] = []
        for item in node.items:
            target = None if item.asname is None else item.asname.name
            stack = stack_seen_through(item, node.body.body)
            if stack is not None:
                self.store(stack, self.expr(item.item), stack)
                stacks.add(stack.value)
                continue
            opened.append(self._open(item.item, asynchronous, target))
            if isinstance(target, cst.Name):
                stacks.add(target.value)
        self._stacked(node.body.body, stacks)
        for each in reversed(opened):
            self._close(each)

    def _open(
        self, item: cst.BaseExpression, asynchronous: bool, target: cst.BaseExpression | None
    ) -> _Opened:
        """Enter the region of one context manager."""
        value = self.expr(item)
        region = len(self.regions)
        entered = self._enter(value, region, asynchronous, item)
        frame, after = Cleanup(self.frame), Label()
        self.regions.append((value, asynchronous, entered.step, after))
        self._shift(frame, (*self.inside, region))
        if target is not None:
            self.store(target, entered, target)
        return _Opened(value, region, asynchronous, item, frame, after)

    def _close(self, opened: _Opened) -> None:
        """Leave a region by every completion."""
        self._shift(opened.frame.parent, self.inside[:-1])
        self._exits(opened.value, opened.region, opened.asynchronous, opened.node, opened.frame, opened.after)

    def _stacked(
        self, body: Sequence[cst.BaseStatement] | Sequence[cst.BaseSmallStatement], stacks: Container[str]
    ) -> None:
        """Lower the body of a `with`: what it puts on an exit stack is a `with` round the rest of it."""
        for i, statement in enumerate(body):
            pushed = pushed_on_stack(statement, stacks)
            if pushed is not None and self.current is not None:
                self.statements(body[:i])
                if self.current is None:
                    self._unreached(body[i:])
                    return
                opened = self._open(pushed.manager, pushed.asynchronous, pushed.target)
                self._stacked(body[i + 1 :], stacks)
                self._close(opened)
                return
        self.statements(body)

    def _enter(self, value: ir.Expr, region: int, asynchronous: bool, node: cst.CSTNode) -> ir.Temp:
        self.risky = True
        if asynchronous:
            return self.suspend(ir.Await(value, ir.AwaitKind.ENTER, True, region), node)
        return ir.Temp(self.emit(ir.Enter(value, region), node))

    def _exits(
        self, value: ir.Expr, region: int, asynchronous: bool, node: cst.CSTNode, frame: Cleanup, after: Label
    ) -> None:
        """Leave one item's region: at its end, and by every completion that occurs."""
        if self.current is not None:
            self._exit(value, region, asynchronous, node)
            self.end_at(after)
        for completion, label in frame.completions.items():
            self.place(label)
            self._exit(value, region, asynchronous, node)
            self.end(*self._after_exit(completion, after))
        self.place(after)

    def _exit(self, value: ir.Expr, region: int, asynchronous: bool, node: cst.CSTNode) -> None:
        self.risky = True
        if asynchronous:
            self.suspend(ir.Await(value, ir.AwaitKind.EXIT, False, region), node)
        else:
            self.emit(ir.Exit(value, region), node)

    def _after_exit(self, completion: Completion, after: Label) -> _Edges:
        """Where control goes after an exit that runs on the way: it may swallow or replace what travels."""
        edges: _Edges = [(self.target_of(completion), completion.leaves)]
        if completion is RAISED or completion is CANCELLED:
            edges.append((after, Leaves.ABSORBED))
        if completion is CANCELLED:
            edges.append((self.target_of(RAISED), Leaves.CONVERTED))
        return edges

    # ------------------------------------------------------------------ try

    def _try(self, node: cst.Try | cst.TryStar) -> None:
        if node.finalbody is None:
            self._try_except(node)
            return
        frame = Cleanup(self.frame, shared=self.copies >= _DEEPEST_COPY)
        self._shift(frame, self.inside)
        self._try_except(node)
        self._shift(frame.parent, self.inside)
        after = Label()
        self._finally(node.finalbody.body, frame, after)
        self.place(after)

    def _finally(self, body: cst.BaseSuite, frame: Cleanup, after: Label) -> None:
        """Copy a `finally` for the end of its `try` and for every completion that occurs."""
        if self.current is None and not frame.completions:
            self._unreached((body,))
            return
        self.copies += 1
        self.cleaning += 1
        ends: _Edges = []
        if self.current is not None and frame.shared is not None:
            ends.append((after, Leaves.NORMAL))
            self.end_at(frame.shared)
        elif self.current is not None:
            self.cut()
            self.suite(body)
            self.end_at(after)
        for label, completions in frame.copies():
            if self.place(label):
                travelling = tuple(
                    completion
                    for completion in completions
                    if completion is RAISED or completion is CANCELLED
                )
                if travelling:
                    self.frame = Handling(frame.parent, travelling, None)
                self.suite(body)
                self.frame = frame.parent
                if self.current is not None:
                    self.end(
                        *((self.target_of(completion), completion.leaves) for completion in completions),
                        *ends,
                    )
        self.cleaning -= 1
        self.copies -= 1

    def _try_except(self, node: cst.Try | cst.TryStar) -> None:
        if not node.handlers:
            self.suite(node.body)
            return
        outer = self.frame
        frame = Guarded(
            outer, any(catches_cancellation(each.type, self.scopes.own_names) for each in node.handlers)
        )
        self._shift(frame, self.inside)
        self.suite(node.body)
        self._shift(outer, self.inside)
        if self.current is not None:
            if node.orelse is not None:
                self.suite(node.orelse.body)
        elif node.orelse is not None:
            self._unreached((node.orelse,))
        after = Label()
        self.end_at(after)
        self._handlers(node.handlers, frame, after)
        self.place(after)

    def _handlers(self, handlers: _Handlers, frame: Guarded, after: Label) -> None:
        """Lower the handlers once per kind of exception that may arrive; deep inside copies, once for all."""
        completions = tuple(frame.completions)
        shared = self.copies >= _DEEPEST_COPY and len(completions) > 1
        self.copies += 1
        missed = list(handlers)
        for group in [completions] if shared else [(completion,) for completion in completions]:
            bodies = [Label() for _ in handlers]
            for completion in group:
                self.place(frame.completions[completion])
                self.end(*self._dispatch(handlers, bodies, completion))
            for i, handler in enumerate(handlers):
                if self.place(bodies[i]):
                    missed = [each for each in missed if each is not handler]
                    self._handler(handler, group)
                    self._after_handler(handlers[i:], bodies[i + 1 :], group, after)
        self._unreached(missed)
        self.copies -= 1

    def _dispatch(self, handlers: _Handlers, bodies: Sequence[Label], completion: Completion) -> _Edges:
        """The edges of what travels by `completion` to the handlers that may catch it, and past them."""
        edges: _Edges = []
        for handler, body in zip(handlers, bodies, strict=True):
            catches = self._catches(handler.type, completion)
            if catches is not Catches.NEVER:
                edges.append((body, Leaves.CAUGHT))
            if catches is Catches.SURELY:
                return edges
        return [*edges, (self.target_of(completion), completion.leaves)]

    def _catches(self, type_: cst.BaseExpression | None, completion: Completion) -> Catches:
        """Whether a handler catches what travels by this completion."""
        if completion is CANCELLED:
            return catches_cancellation(type_, self.scopes.own_names)
        return Catches.SURELY if catches_every_error(type_) else Catches.MAYBE

    def _after_handler(
        self, handlers: _Handlers, later: Sequence[Label], group: Sequence[Completion], after: Label
    ) -> None:
        """Go on after a handler. After an `except*` later ones may run too, for the rest of the group."""
        if self.current is None or isinstance(handlers[0], cst.ExceptHandler):
            self.end_at(after)
            return
        self.cut()
        edges: _Edges = [(after, Leaves.NORMAL)]
        for completion in group:
            edges.extend(self._dispatch(handlers[1:], later, completion))
        self.end(*dict.fromkeys(edges))

    def _handler(
        self, node: cst.ExceptHandler | cst.ExceptStarHandler, group: tuple[Completion, ...]
    ) -> None:
        types = tuple(self.symbolic(member) for member in members(node.type))
        star = isinstance(node, cst.ExceptStarHandler)
        caught = ir.Temp(self.emit(ir.Catch(types, star), node if node.type is None else node.type))
        outer = self.frame
        name = None
        if node.name is not None and isinstance(node.name.name, cst.Name):
            name = node.name.name.value
            self.store(node.name.name, caught, node.name.name)
        self.frame = Handling(outer, group, name)
        self.suite(node.body)
        self.frame = outer

    # ------------------------------------------------------------------ definitions

    def _function(self, node: cst.FunctionDef) -> None:
        for decorator in node.decorators:
            self.expr(decorator.decorator)
        index = self.scopes.known(node)
        if index is None:
            index = self._new_function(node)
        self.store(node.name, ir.Closure(index), node.name)

    def _new_function(self, node: cst.FunctionDef) -> int:
        decorators = tuple(self.symbolic(each.decorator) for each in node.decorators)
        index = self.scopes.next_function(node)
        old = is_old_coroutine(node)
        self.scopes.waiting.append(
            Scope(
                index=index,
                kind="function",
                name=intern(node.name.value),
                qualname=self.scope.qualify(node.name.value),
                node=node,
                parent=self.scope.enclosing,
                cls=self.scope.own_class,
                is_async=node.asynchronous is not None or old,
                is_old_coroutine=old,
                params=self.params(node.params),
                returns=None if node.returns is None else self.annotation(node.returns.annotation),
                decorators=decorators,
                contract=contract_of(node, self.scope.node),
                renames=self.renames,
                synthetic=self.synthetic,
            )
        )
        return index

    def _class(self, node: cst.ClassDef) -> None:
        for decorator in node.decorators:
            self.expr(decorator.decorator)
        index = self.scopes.known(node)
        if index is None:
            index = self.scopes.add_class(
                node,
                self.scope,
                tuple(self._base(arg) for arg in node.bases),
                tuple(
                    (arg.keyword.value, self.symbolic(arg.value))
                    for arg in node.keywords
                    if arg.keyword is not None
                ),
                tuple(self.symbolic(each.decorator) for each in node.decorators),
                self.renames,
            )
        self.store(node.name, ir.ClassRef(index), node.name)

    def _base(self, arg: cst.Arg) -> ir.Expr:
        value = self.symbolic(arg.value)
        return ir.Star(value) if arg.star else value


def _dotted(node: cst.BaseExpression) -> str:
    """`a.b.c` as text."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if isinstance(node, cst.Name):
        parts.append(node.value)
    return intern(".".join(reversed(parts)))


_STATEMENTS: Final[Mapping[type[cst.CSTNode], Callable[[Statements, cst.CSTNode], None]]] = dict(
    [
        on(cst.Pass, Statements._nothing),
        on(cst.Expr, Statements._expression),
        on(cst.Assign, Statements._assign),
        on(cst.AnnAssign, Statements._annotated),
        on(cst.AugAssign, Statements._augmented),
        on(cst.Del, Statements._delete),
        on(cst.Global, Statements._global),
        on(cst.Nonlocal, Statements._nonlocal),
        on(cst.Import, Statements._import),
        on(cst.LazyImport, Statements._import),
        on(cst.ImportFrom, Statements._import_from),
        on(cst.LazyImportFrom, Statements._import_from),
        on(cst.TypeAlias, Statements._type_alias),
        on(cst.Return, Statements._return),
        on(cst.Break, Statements._break),
        on(cst.Continue, Statements._continue),
        on(cst.Raise, Statements._raise),
        on(cst.Assert, Statements._assert),
        on(cst.If, Statements._if),
        on(cst.While, Statements._while),
        on(cst.For, Statements._for),
        on(cst.Match, Statements._match),
        on(cst.With, Statements._with),
        on(cst.Try, Statements._try),
        on(cst.TryStar, Statements._try),
        on(cst.FunctionDef, Statements._function),
        on(cst.ClassDef, Statements._class),
    ]
)
