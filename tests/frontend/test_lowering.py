"""Control flow: what a function's graph lets happen after what.

The body of each snippet calls markers. `live(n)` must be reachable, `dead(n)` must not even be
lowered, `cancelled(n)` must only be reachable after a cancelled edge, `resumed(n)` only before one,
`both(n)` in both cases.
"""

import re
import textwrap
from collections import defaultdict

import libcst
import pytest

from cancellint.frontend.lower import lower
from cancellint.model import ir
from cancellint.model.ir import Leaves

_MARKER = re.compile(r"\b(live|dead|cancelled|resumed|both)\((\d+)[,)]")


def function(source: str, name: str = "f") -> ir.Function:
    module = lower(libcst.parse_module(textwrap.dedent(source)))
    return next(each for each in module.functions if each.name == name)


def reached(graph: ir.Function) -> dict[tuple[str, str], set[bool]]:
    """Every marker met on some path, each with whether a cancellation had happened by then."""
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    seen = {(0, False)}
    waiting = [(0, False)]
    while waiting:
        at, after_cancellation = waiting.pop()
        block = graph.blocks[at]
        for step in graph.steps[block.first : block.last]:
            match step:
                case ir.Call(func=ir.Name(id=marker), args=(ir.Const(text=number), *_)):
                    found[marker, number].add(after_cancellation)
        for edge in block.edges:
            state = edge.to, after_cancellation or edge.leaves is Leaves.CANCELLED
            if edge.to >= 0 and state not in seen:
                seen.add(state)
                waiting.append(state)
    return found


def check(source: str) -> ir.Function:
    """Check the markers in the function `f` of a snippet."""
    graph = function(source)
    found = reached(graph)
    expected = {
        "live": ({True}, {False}, {True, False}),
        "dead": (set(),),
        "cancelled": ({True},),
        "resumed": ({False},),
        "both": ({True, False},),
    }
    markers = _MARKER.findall(source)
    assert len(set(markers)) == len(markers) > 0
    for marker in markers:
        assert found.get(marker, set()) in expected[marker[0]], marker
        if marker[0] == "dead":
            assert ir.Name("dead") not in [s.func for s in graph.steps if isinstance(s, ir.Call)]
    return graph


def leaves(graph: ir.Function) -> set[tuple[int, Leaves]]:
    """How the function may be left."""
    return {(edge.to, edge.leaves) for block in graph.blocks for edge in block.edges if edge.to < 0}


def steps(graph: ir.Function, kind: type[ir.Step]) -> list[ir.Step]:
    return [step for step in graph.steps if isinstance(step, kind)]


# ------------------------------------------------------------------ leaving


def test_nothing_runs_after_a_return():
    check("""
    def f():
        live(1)
        return 1
        dead(2)
    """)


def test_nothing_runs_after_a_raise_or_a_failed_constant_assertion():
    check("""
    def f(x):
        if x:
            raise ValueError
            dead(1)
        assert False, live(2)
        dead(3)
    """)


def test_an_await_leaves_the_function_resumed_or_cancelled():
    graph = check("""
    async def f():
        await g()
        resumed(1)
    """)
    assert leaves(graph) == {
        (ir.CANCEL_EXIT, Leaves.CANCELLED),
        (ir.RAISE_EXIT, Leaves.RAISED),
        (ir.RETURN_EXIT, Leaves.RETURNED),
    }


def test_a_call_outside_of_any_try_needs_no_raised_edge():
    graph = function("def f():\n    g()\n")
    assert leaves(graph) == {(ir.RETURN_EXIT, Leaves.RETURNED)}


# ------------------------------------------------------------------ branches


def test_an_elif_chain_reaches_each_arm():
    check("""
    def f(a):
        if a == 1: live(1)
        elif a == 2: live(2)
        elif True: live(3)
        else: dead(4)
        live(5)
    """)


def test_constant_conditions_take_one_side():
    check("""
    def f():
        if 0: dead(1)
        if not 1: dead(2)
        if "": dead(3)
        if None or b"": dead(4)
        if TYPE_CHECKING: live(5)
        if x and False: dead(6)
        live(7)
    """)


def test_an_await_after_and_runs_only_where_the_first_test_holds():
    graph = check("""
    async def f(x):
        if x is not None and await g(x):
            resumed(1)
        else:
            resumed(2)
    """)
    tests = [block.test for block in graph.blocks if block.test is not None]
    assert tests == [ir.Op("is not", (ir.Name("x"), ir.Const("none", "None"))), ir.Temp(1)]


def test_a_short_circuit_value_has_a_path_round_the_await():
    graph = check("""
    async def f(x):
        y = x or await g()
        resumed(1)
        return y
    """)
    assert ir.Assign(ir.Name("$1"), ir.Name("x")) in graph.steps
    assert ir.Assign(ir.Name("y"), ir.Name("$1")) in graph.steps


def test_a_pure_short_circuit_is_one_expression():
    graph = function("def f(x, y):\n    return x and y or not x\n")
    assert len(graph.blocks) == 1


def test_a_conditional_expression_awaits_in_one_arm_only():
    graph = check("""
    async def f(x):
        y = await g() if x else live(1)
        resumed(2)
    """)
    assert [block.test for block in graph.blocks if block.test] == [ir.Name("x")]


def test_a_chained_comparison_stops_before_its_last_await():
    graph = check("""
    async def f(a):
        if a < b() < await c():
            resumed(1)
        resumed(2)
        z = a < 1 < await d()
        resumed(3)
    """)
    awaits = [i for i, step in enumerate(graph.steps) if isinstance(step, ir.Await)]
    before = next(b for b in graph.blocks if b.test == ir.Op("<", (ir.Name("a"), ir.Temp(0))))
    assert all(before.last <= number for number in awaits)


def test_a_walrus_in_a_short_circuit_binds_on_its_own_branch():
    graph = check("""
    async def f(q):
        while (item := await q.get()) is not None and (n := len(item)):
            resumed(1)
        resumed(2)
    """)
    assert {"item", "n"} <= set(graph.locals)


# ------------------------------------------------------------------ loops


def test_an_endless_loop_is_left_by_break_only():
    check("""
    def f():
        while True:
            if a(): break
            if b(): continue
            live(1)
        else:
            dead(2)
        live(3)
        while 1:
            live(4)
        dead(5)
    """)


def test_a_loop_that_breaks_skips_its_else():
    check("""
    def f(xs):
        for x in xs:
            break
            dead(1)
        else:
            live(2)
        while xs:
            return
        else:
            live(3)
        live(4)
    """)


def test_an_async_for_may_be_cancelled_at_each_turn():
    graph = check("""
    async def f(xs):
        try:
            async for x in xs:
                resumed(1)
            else:
                resumed(2)
        except BaseException:
            both(3)
    """)
    block = next(b for b in graph.blocks if b.last and isinstance(graph.steps[b.last - 1], ir.Await))
    assert [edge.leaves for edge in block.edges] == [
        Leaves.RESUMED,
        Leaves.EXHAUSTED,
        Leaves.CANCELLED,
        Leaves.RAISED,
    ]


def test_a_loop_evaluates_its_iterable_once():
    graph = function("def f():\n    for x in g():\n        h(x)\n")
    assert graph.steps[:3] == (
        ir.Call(ir.Name("g"), (), (), True),
        ir.Next(ir.Temp(0)),
        ir.Assign(ir.Name("x"), ir.Temp(1)),
    )


def test_break_and_continue_run_finally_and_exits_first():
    check("""
    async def f(xs):
        for x in xs:
            try:
                async with x:
                    if x.a: break
                    if x.b: continue
                    return
            finally:
                live(1)
            live(2, "an exit swallowed an exception")
        else:
            live(3)
        live(4)
    """)


# ------------------------------------------------------------------ handlers


def test_except_exception_does_not_see_a_cancellation():
    check("""
    async def f():
        try:
            await g()
            resumed(1)
        except Exception:
            resumed(2)
        resumed(3)
    """)


@pytest.mark.parametrize(
    "caught",
    [
        "",
        "BaseException",
        "asyncio.CancelledError",
        "trio.Cancelled",
        "get_cancelled_exc_class()",
        "(ValueError, asyncio.CancelledError)",
    ],
)
def test_what_surely_catches_a_cancellation_lets_none_past(caught: str):
    graph = check(f"""
    async def f():
        try:
            await g()
        except {caught}:
            both(1)
        live(2)
    """)
    assert ir.CANCEL_EXIT not in {to for to, _ in leaves(graph)}


@pytest.mark.parametrize("caught", ["ERRORS", "self.errors", "(A, *B)", "queue.Empty", "A + B", "pick()"])
def test_what_may_be_a_tuple_or_class_of_ones_own_may_catch_a_cancellation(caught: str):
    graph = check(f"""
    async def f():
        try:
            await g()
        except {caught}:
            both(1)
    """)
    assert (ir.CANCEL_EXIT, Leaves.CANCELLED) in leaves(graph)


@pytest.mark.parametrize(
    "caught",
    [
        "ValueError",
        "asyncio.TimeoutError",
        "KeyboardInterrupt",
        "GeneratorExit",
        "socket.timeout",
        "concurrent.futures.CancelledError",
        "(OSError, http.ClientException)",
        "()",
    ],
)
def test_what_is_named_as_an_error_does_not_catch_a_cancellation(caught: str):
    check(f"""
    async def f():
        try:
            await g()
        except {caught}:
            resumed(1)
    """)


def test_handlers_are_tried_in_order_up_to_the_first_that_surely_catches():
    check("""
    async def f():
        try:
            await g()
        except ValueError:
            resumed(1)
        except CancelledError:
            both(2)
        except BaseException:
            resumed(3)
        except:
            dead(4)
    """)


def test_a_handler_that_raises_again_passes_on_what_it_caught():
    graph = check("""
    async def f():
        try:
            await g()
        except BaseException as e:
            if e.args:
                raise
            raise e
        resumed(1)
    """)
    assert {(ir.CANCEL_EXIT, Leaves.CANCELLED), (ir.RAISE_EXIT, Leaves.RAISED)} < leaves(graph)


def test_a_handler_that_raises_something_else_ends_the_cancellation():
    graph = function("""
    async def f():
        try:
            await g()
        except BaseException as e:
            raise RuntimeError from e
    """)
    assert ir.CANCEL_EXIT not in {to for to, _ in leaves(graph)}


def test_a_caught_cancellation_may_be_raised_again_from_an_inner_handler():
    graph = function("""
    async def f():
        try:
            await g()
        except CancelledError as e:
            try:
                h()
            except ValueError:
                raise e
    """)
    assert (ir.CANCEL_EXIT, Leaves.CANCELLED) in leaves(graph)


def test_a_handler_that_raises_a_cancellation_of_its_own_passes_one_on():
    check("""
    async def f():
        try:
            try:
                await g()
            except BaseException:
                raise CancelledError
        except CancelledError:
            both(1)
        except Exception:
            resumed(2)
    """)


def test_nested_handlers_pass_a_cancellation_outwards():
    check("""
    async def f():
        try:
            try:
                await g()
            except CancelledError:
                both(1)
                raise
            except Exception:
                resumed(2)
                raise
        except Exception:
            both(3, "the first handler's own call may raise")
        except BaseException:
            cancelled(4)
        both(5)
    """)


def test_what_precedes_a_try_or_with_does_not_raise_into_it():
    check("""
    def f():
        g()
        try:
            pass
        except ValueError:
            dead(1)
        with g():
            return live(2)
        live(3, "the exit may swallow what the body raised")
    """)
    check("""
    def f():
        with g():
            return
        dead(1)
    """)


def test_a_handler_of_code_that_cannot_raise_is_dead():
    graph = check("""
    def f(x):
        try:
            pass
        except ValueError:
            dead(1)
            y = 1
        else:
            live(2)
    """)
    assert "y" in graph.locals


def test_imports_and_operators_may_raise():
    check("""
    def f(x):
        try:
            import a
        except ImportError:
            live(1)
        try:
            y = x + 1
        except TypeError:
            live(2)
    """)


def test_the_last_call_in_a_try_reaches_its_handler():
    check("""
    def f(x):
        try:
            g()
        except ValueError:
            live(1)
        with a:
            live(2)
        live(3)
    """)
    graph = function("def f(x):\n    with a:\n        g()\n    h()\n")
    assert Leaves.ABSORBED in {edge.leaves for block in graph.blocks for edge in block.edges}


def test_else_is_not_guarded_by_the_handlers():
    check("""
    async def f():
        try:
            pass
        except BaseException:
            dead(1)
        else:
            await g()
            resumed(2)
    """)


def test_every_star_handler_may_run():
    graph = check("""
    async def f():
        try:
            await g()
        except* ValueError:
            resumed(1)
        except* CancelledError:
            both(2)
        except* OSError:
            resumed(3)
        both(4)
    """)
    assert all(step.group for step in graph.steps if isinstance(step, ir.Catch))
    first = next(i for i, b in enumerate(graph.blocks) if isinstance(graph.steps[b.first], ir.Catch))
    assert Leaves.CAUGHT in {edge.leaves for block in graph.blocks[first : first + 2] for edge in block.edges}


# ------------------------------------------------------------------ finally


def test_finally_runs_on_every_way_out():
    check("""
    async def f():
        try:
            await g()
            resumed(1)
        finally:
            both(2)
        resumed(3)
    """)


def test_a_return_in_finally_swallows_a_cancellation():
    graph = check("""
    async def f():
        try:
            await g()
        finally:
            return both(1)
        dead(2)
    """)
    assert leaves(graph) == {(ir.RETURN_EXIT, Leaves.RETURNED)}


def test_finally_in_finally_keeps_the_ways_apart():
    check("""
    async def f():
        try:
            await g()
        finally:
            try:
                h()
            finally:
                both(1)
        resumed(2)
    """)


def test_deeply_nested_finally_blocks_share_copies():
    source = "async def f():\n"
    for depth in range(19):
        indent = "    " * (depth + 1)
        source += f"{indent}try:\n{indent}    await g()\n{indent}finally:\n"
    graph = check(source + "    " * 20 + "both(1)\n")
    assert len(graph.blocks) < 2000


def test_while_else_with_return_in_finally():
    check("""
    def f(x):
        while x():
            try:
                break
            finally:
                live(1)
                return
        else:
            live(2)
        live(3)
        while True:
            try:
                break
            finally:
                continue
        dead(4)
    """)


def test_each_jump_through_finally_arrives_at_its_own_target():
    check("""
    async def f(xs):
        while True:
            for x in xs:
                try:
                    if x: break
                    if await x: continue
                    return
                finally:
                    both(1)
            resumed(2)
    """)


# ------------------------------------------------------------------ with


def test_an_exit_may_absorb_or_convert_a_cancellation():
    graph = check("""
    async def f():
        with scope():
            await g()
            resumed(1)
        both(2)
    """)
    assert leaves(graph) == {
        (ir.CANCEL_EXIT, Leaves.CANCELLED),
        (ir.RAISE_EXIT, Leaves.CONVERTED),
        (ir.RAISE_EXIT, Leaves.RAISED),
        (ir.RETURN_EXIT, Leaves.RETURNED),
    }


def test_an_async_exit_is_an_await_on_every_way():
    graph = check("""
    async def f():
        async with lock as held:
            await g()
        both(1)
    """)
    exits = [s for s in graph.steps if isinstance(s, ir.Await) and s.kind is ir.AwaitKind.EXIT]
    assert len(exits) == 3
    assert graph.regions == (ir.Region(ir.Name("lock"), True, 0, graph.regions[0].after),)
    assert graph.steps[1] == ir.Assign(ir.Name("held"), ir.Temp(0))


def test_entering_and_leaving_lie_outside_of_the_region():
    graph = function("""
    async def f():
        async with a, b:
            c()
    """)
    inside = {number: block.regions for block in graph.blocks for number in range(block.first, block.last)}
    for number, step in enumerate(graph.steps):
        match step:
            case ir.Await(kind=ir.AwaitKind.ENTER | ir.AwaitKind.EXIT, region=region):
                assert inside[number] == tuple(range(region))
            case ir.Call():
                assert inside[number] == (0, 1)


def test_the_block_after_a_region_is_known():
    graph = function("""
    async def f():
        with a:
            b()
        c()
    """)
    after = graph.blocks[graph.regions[0].after]
    assert graph.steps[after.first] == ir.Call(ir.Name("c"), (), (), False)
    assert function("def f():\n    with a:\n        while True: pass\n").regions[0].after == -1


def test_a_return_inside_with_inside_try_passes_exit_and_finally():
    graph = check("""
    async def f():
        try:
            with a:
                return await g()
        except BaseException:
            both(1)
        finally:
            both(2)
        both(3)
    """)
    returned = next(b for b in graph.blocks if b.last and isinstance(graph.steps[b.last - 1], ir.Return))
    way = next(edge for edge in returned.edges if edge.leaves is Leaves.RETURNED)
    assert isinstance(graph.steps[graph.blocks[way.to].first], ir.Exit)


# ------------------------------------------------------------------ match


def test_an_irrefutable_case_ends_a_match():
    check("""
    def f(x):
        match x:
            case 1 | 2: live(1)
            case [a, *b] if a: live(2)
            case {"k": v, **rest}: live(3)
            case C(d, e=g): live(4)
            case whatever: return
            case _: dead(5)
        live(6)
    """)


def test_captures_are_parts_of_the_subject():
    graph = function("""
    def f(x):
        match x:
            case [a, *b, c]: pass
            case {"k": v, **rest}: pass
            case C(d, e=g) as h: pass
    """)
    x = ir.Name("x")
    assert [(s.target.id, s.value) for s in graph.steps if isinstance(s, ir.Assign)] == [
        ("a", ir.Element(x, 0)),
        ("b", ir.Element(x, 1, True)),
        ("c", ir.Element(x, -1)),
        ("rest", x),
        ("v", ir.Item(x, ir.Const("str", "k"))),
        ("h", x),
        ("d", ir.Element(x, 0)),
        ("g", ir.Attr(x, "e")),
    ]


def test_an_await_in_a_guard_may_be_cancelled_before_the_next_case():
    check("""
    async def f(x):
        try:
            match await x:
                case 1 if await g(): resumed(1)
                case 2: resumed(2)
        except CancelledError:
            both(3)
    """)


# ------------------------------------------------------------------ comprehensions and generators


def test_a_comprehension_is_a_loop():
    graph = check("""
    async def f(xs):
        ys = [x + 1 for x in xs if await g(x)]
        resumed(1)
        return ys
    """)
    element = ir.Op("+", (ir.Name("x@2"), ir.Const("int", "1")))
    assert ir.Assign(ir.Name("$1"), element, "append") in graph.steps
    assert graph.locals == ("$1", "x@2", "xs", "ys")


def test_an_async_comprehension_in_a_condition():
    check("""
    async def f(xs):
        try:
            if [x async for x in xs] or {k: v for k, v in xs}:
                resumed(1)
        except CancelledError:
            both(2)
    """)


def test_a_nested_comprehension_takes_its_next_turn_at_the_inner_loop():
    graph = function("def f(xs):\n    return [y for x in xs for y in x if y]\n")
    blocks = [b for b in graph.blocks if b.last and isinstance(graph.steps[b.last - 1], ir.Next)]
    outer, inner = blocks
    exhausted = next(edge for edge in inner.edges if edge.leaves is Leaves.EXHAUSTED)
    assert graph.blocks[exhausted.to] is outer


def test_a_generator_expression_that_awaits_is_a_function():
    module = lower(libcst.parse_module("async def f(xs):\n    return g(await x for x in xs())\n"))
    generator = module.functions[2]
    assert (generator.kind, generator.is_async, generator.is_generator) == ("genexp", True, True)
    assert [step.value for step in steps(module.functions[1], ir.Return)] == [ir.Temp(2)]
    assert module.functions[1].steps[2].args == (ir.Closure(2),)


def test_a_generator_is_left_by_exceptions_but_not_cancelled_at_a_yield():
    graph = check("""
    async def f():
        try:
            yield 1
            resumed(1)
        except GeneratorExit:
            resumed(2)
        finally:
            resumed(3)
    """)
    assert graph.is_generator
    assert ir.CANCEL_EXIT not in {to for to, _ in leaves(graph)}


def test_yield_from_is_an_await():
    graph = check("""
    def f():
        x = yield from g()
        resumed(1)
    """)
    assert graph.is_generator
    assert (ir.CANCEL_EXIT, Leaves.CANCELLED) in leaves(graph)


def test_an_old_coroutine_is_async():
    graph = function("@asyncio.coroutine\ndef f():\n    yield from g()\n")
    assert (graph.is_async, graph.is_generator) == (True, False)


def test_a_yield_that_never_runs_still_makes_a_generator():
    graph = check(
        """
    async def f():
        raise NotImplementedError
        yield dead(1)
        x = 1
    live(2)
    """.replace("    live(2)\n", "")
    )
    assert graph.is_generator
    assert graph.locals == ("x",)
