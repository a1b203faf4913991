"""Edits: what each does to a piece of code, and what it leaves alone.

The sites of a fix are the lines that end in `§1`, `§2`, …, in that order.
"""

import re
from textwrap import dedent

import libcst
import pytest

from cancellint.fixes.mend import mended, possible
from cancellint.frontend.lower import lower
from cancellint.frontend.positions import spans
from cancellint.model import ir
from cancellint.model.finding import Edit, Fix
from cancellint.model.source import Site

_MARK = re.compile(r"[ ]*§(\d)$")

_KINDS: dict[Edit, tuple[type[ir.Step], ...]] = {
    Edit.WIDEN_HANDLER: (ir.Catch,),
    Edit.WIDEN_ANY_HANDLER: (ir.Catch,),
    Edit.GUARD_COMPLETION: (ir.Call,),
    Edit.SHIELD: (ir.Await,),
}
"""The steps that an edit may be given; for the others any call, await or change of state."""


def unmarked(source: str) -> tuple[str, list[int]]:
    """The source without its marks, and the lines they stood on, in their order."""
    lines: list[str] = []
    marks: dict[int, int] = {}
    for number, line in enumerate(dedent(source).split("\n"), 1):
        mark = _MARK.search(line)
        if mark is not None:
            marks[int(mark[1])] = number
        lines.append(_MARK.sub("", line))
    return "\n".join(lines), [marks[each] for each in sorted(marks)]


def fix_at(source: str, edit: Edit, lines: list[int]) -> Fix:
    """The fix whose sites are the first fitting step that begins on each of these lines."""
    tree = libcst.parse_module(source)
    kinds = _KINDS.get(edit, (ir.Call, ir.Await, ir.Assign, ir.Delete))
    wanted = [
        (index, number)
        for index, function in enumerate(lower(tree).functions)
        for number, step in enumerate(function.steps)
        if isinstance(step, kinds)
    ]
    found = sorted(spans(tree, wanted).items())
    sites = (next(key for key, span in found if span.line == line) for line in lines)
    return Fix(edit, tuple(Site("main", *key) for key in sites))


def edited(source: str, edit: Edit) -> str | None:
    """What the edit makes of the source; None where it declines."""
    text, lines = unmarked(source)
    fix = fix_at(text, edit, lines)
    result = mended(text.encode(), [fix])
    assert (result is not None) == (fix in possible(text.encode(), [fix]))
    return None if result is None else result.data.decode()


def changes(edit: Edit, before: str, after: str) -> bool:
    """Whether the edit makes exactly this of the source."""
    assert edited(before, edit) == dedent(after)
    return True


# --------------------------------------------------------------------------- handlers


def test_a_handler_is_widened_in_its_type_alone() -> None:
    assert changes(
        Edit.WIDEN_HANDLER,
        """
        async def f(self):
            try:
                await g()
            except  Exception as error :  # why  §1
                log( error )
                raise
        """,
        """
        async def f(self):
            try:
                await g()
            except  BaseException as error :  # why
                log( error )
                raise
        """,
    )


@pytest.mark.parametrize(
    ("caught", "as_exception", "as_anything"),
    [
        ("Exception", True, True),
        ("builtins.Exception", True, True),
        ("(OSError, Exception)", True, True),
        ("OSError", False, True),
        ("(OSError, ValueError)", False, True),
        ("BaseException", False, False),
        ("(OSError, asyncio.CancelledError)", False, False),
        ("", False, False),
    ],
)
def test_what_a_handler_catches_decides_what_may_widen_it(
    caught: str, as_exception: bool, as_anything: bool
) -> None:
    source = (
        f"async def f():\n    try:\n        await g()\n    except {caught}:  §1\n        h()\n        raise\n"
    )
    widened = (
        "async def f():\n    try:\n        await g()\n    except BaseException:\n        h()\n        raise\n"
    )

    assert edited(source, Edit.WIDEN_HANDLER) == (widened if as_exception else None)
    assert edited(source, Edit.WIDEN_ANY_HANDLER) == (widened if as_anything else None)


@pytest.mark.parametrize(
    "handler",
    [
        "h()",
        "return None",
        "raise OSError",
        "raise OSError from e",
        "raise e from None",
        "h(); raise; i()",
        "if h(): raise\n        raise OSError",
        "if h(): return\n        raise",
    ],
)
def test_a_handler_that_does_not_always_raise_again_is_not_widened(handler: str) -> None:
    source = (
        f"async def f():\n    try:\n        await g()\n    except Exception as e:  §1\n        {handler}\n"
    )

    assert edited(source, Edit.WIDEN_HANDLER) is None


@pytest.mark.parametrize("ending", ["raise", "raise e", "h(); raise", "def k(): return 1\n        raise"])
def test_a_handler_may_raise_again_in_several_words(ending: str) -> None:
    source = (
        f"async def f():\n    try:\n        await g()\n    except Exception as e:  §1\n        {ending}\n"
    )

    assert edited(source, Edit.WIDEN_HANDLER) is not None


@pytest.mark.parametrize(
    "handlers",
    [
        "except asyncio.CancelledError: raise\n    except Exception:  §1\n        h()\n        raise",
        "except Exception:  §1\n        h()\n        raise\n    except asyncio.CancelledError: raise",
        "except Exception:  §1\n        h()\n        raise\n    except: raise",
    ],
)
def test_a_handler_beside_one_for_cancellations_is_not_widened(handlers: str) -> None:
    assert (
        edited(f"async def f():\n    try:\n        await g()\n    {handlers}\n", Edit.WIDEN_HANDLER) is None
    )


@pytest.mark.parametrize(("library", "is_widened"), [("asyncio", True), ("anyio", False), ("trio", False)])
def test_a_handler_that_awaits_is_widened_only_where_its_await_is_not_cancelled_too(
    library: str, is_widened: bool
) -> None:
    source = f"import {library}.abc\n" + dedent(
        """
        async def f():
            try:
                await g()
            except Exception:  §1
                await h()
                raise
        """
    )

    assert (edited(source, Edit.WIDEN_HANDLER) is not None) == is_widened


# --------------------------------------------------------------------------- locks


def test_a_lock_is_held_in_an_async_with() -> None:
    assert changes(
        Edit.HOLD_IN_ASYNC_WITH,
        """
        async def f(lock):
            # above
            await lock.acquire()  # beside §1

            # first
            a = await work()
            if a:
                lock.release()
                return None
            b(a)
            lock.release()  §2

            # after
            return a
        """,
        """
        async def f(lock):
            # above
            async with lock:  # beside
                # first
                a = await work()
                if a:
                    return None
                b(a)

            # after
            return a
        """,
    )


def test_a_lock_that_is_released_in_a_handler_too_is_held_without_it() -> None:
    assert changes(
        Edit.HOLD_IN_ASYNC_WITH,
        """
        async def f(self):
            await self.lock.acquire()  §1
            try:
                await work()
            except Exception:
                self.lock.release()
                raise
            self.lock.release()  §2
        """,
        """
        async def f(self):
            async with self.lock:
                await work()
        """,
    )


def test_what_stands_before_the_try_that_releases_is_held_too() -> None:
    source = """
        async def f(self):
            await lock.acquire()  §1
            # set up
            await setup()
            try:
                await work()
            finally:
                lock.release()  §2
        """

    assert changes(
        Edit.HOLD_IN_ASYNC_WITH,
        source,
        """
        async def f(self):
            async with lock:
                # set up
                await setup()
                await work()
        """,
    )
    assert changes(
        Edit.RELEASE_IN_FINALLY,
        source,
        """
        async def f(self):
            await lock.acquire()
            try:
                # set up
                await setup()
                await work()
            finally:
                lock.release()
        """,
    )


def test_what_else_a_finally_does_is_done_before() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            self.n += 1  §1
            got = await setup()
            try:
                return await work()
            finally:
                got.close()
                self.n -= 1  §2
        """,
        """
        async def f(self):
            self.n += 1
            try:
                got = await setup()
                try:
                    return await work()
                finally:
                    got.close()
            finally:
                self.n -= 1
        """,
    )


def test_handlers_keep_what_they_guard_when_more_is_put_before_it() -> None:
    assert changes(
        Edit.RELEASE_IN_FINALLY,
        """
        async def f(self):
            await lock.acquire()  §1
            await setup()
            try:
                await work()
            except ValueError:
                return
            finally:
                lock.release()  §2
        """,
        """
        async def f(self):
            await lock.acquire()
            try:
                await setup()
                try:
                    await work()
                except ValueError:
                    return
            finally:
                lock.release()
        """,
    )


@pytest.mark.parametrize(
    ("acquire", "release"),
    [
        ("await lock.acquire()", "lock.release()  # with a word"),
        ("await lock.acquire(1)", "lock.release()"),
        ("got = await lock.acquire()", "lock.release()"),
        ("await locks[0].acquire()", "locks[0].release()"),
        ("await lock.acquire()", "other.release()"),
        ("await pool.acquire()", "await pool.release()"),
    ],
)
def test_what_an_async_with_would_not_do_is_done_in_finally(acquire: str, release: str) -> None:
    before = f"async def f():\n    {acquire}  §1\n    await g()\n    {release}  §2\n"
    after = f"async def f():\n    {acquire}\n    try:\n        await g()\n    finally:\n        {release}\n"

    assert edited(before, Edit.HOLD_IN_ASYNC_WITH) == after


# --------------------------------------------------------------------------- finally


def test_an_undo_moves_into_finally_with_its_comments() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        class C:
          async def f(self):
            self.busy = True  §1

            # first
            await g(
                1,
            )

            # now
            self.busy = False  # done §2

            return 1
        """,
        """
        class C:
          async def f(self):
            self.busy = True

            try:
              # first
              await g(
                  1,
              )
            finally:
              # now
              self.busy = False  # done

            return 1
        """,
    )


def test_a_try_that_undoes_at_its_ends_gets_the_finally() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            self.busy = True  §1
            try:
                a = await g()
                self.busy = False  §2
            except OSError:
                self.busy = False
                raise
            except ValueError as error:
                log(error)
                self.busy = False
            return a
        """,
        """
        async def f(self):
            self.busy = True
            try:
                a = await g()
            except OSError:
                raise
            except ValueError as error:
                log(error)
            finally:
                self.busy = False
            return a
        """,
    )


def test_handlers_that_only_raised_again_after_an_undo_go() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            self.n += 1  §1
            a()

            # first
            try:
                # inside
                await g()
            except asyncio.CancelledError:
                self.n -= 1
                raise
            try:
                await h()
            except asyncio.CancelledError:
                self.n -= 1
                raise
            except OSError:
                i()
            try:
                await j()
            except OSError:
                self.n -= 1
                raise
            except Exception:
                k()
            self.n -= 1  §2
        """,
        """
        async def f(self):
            self.n += 1
            try:
                a()

                # first
                # inside
                await g()
                try:
                    await h()
                except OSError:
                    i()
                try:
                    await j()
                except OSError:
                    raise
                except Exception:
                    k()
            finally:
                self.n -= 1
        """,
    )


def test_every_way_out_of_a_turn_of_a_loop_undoes_once() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            while True:
                self.n += 1  §1
                for x in y:
                    if x:
                        break
                    await x()
                if y:
                    self.n -= 1
                    continue
                self.n -= 1  §2
        """,
        """
        async def f(self):
            while True:
                self.n += 1
                try:
                    for x in y:
                        if x:
                            break
                        await x()
                    if y:
                        continue
                finally:
                    self.n -= 1
        """,
    )


def test_an_undo_that_may_happen_twice_stays_where_more_is_done_after_it() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            self.busy = True  §1
            if await g():
                self.busy = False
                await h()
            self.busy = False  §2
        """,
        """
        async def f(self):
            self.busy = True
            try:
                if await g():
                    self.busy = False
                    await h()
            finally:
                self.busy = False
        """,
    )


@pytest.mark.parametrize(
    "body",
    [
        "if await g(): return\n    self.n -= 1  §2",
        "if await g():\n        self.n -= 1\n        await h()\n    self.n -= 1  §2",
        "if await g():\n        self.n -= 1\n        return h()\n    self.n -= 1  §2",
        "if await g():\n        self.n -= 1  # said\n        return\n    self.n -= 1  §2",
        "await g()\n    if self.m:\n        self.n -= 1  §2",
        "await g()\n    self.n += 1\n    self.n -= 1  §2",
        "await g()\n    h(); self.n -= 1  §2",
        "self.n -= 1  §2\n    await g()",
        "try:\n        await g()\n    except OSError:\n        pass\n    else:\n        self.n -= 1  §2",
        "for x in await g():\n        self.n -= 1  §2",
        "await g()\n    try:\n        h()\n    finally:\n        self.n -= 1  §2\n        h()",
        "try:\n        await g()\n    finally:\n        self.n -= 1  §2",
        "try:\n        self.n -= 1\n        raise E\n    except E: await g()\n    self.n -= 1  §2",
    ],
)
def test_where_finally_would_do_something_else_nothing_is_changed(body: str) -> None:
    assert edited(f"async def f(self):\n    self.n += 1  §1\n    {body}\n", Edit.UNDO_IN_FINALLY) is None


def test_what_is_awaited_at_the_end_is_awaited_in_finally_where_that_is_not_cancelled_too() -> None:
    source = """
        async def f(self):
            conn = await self.pool.take()  §1
            await conn.g()
            await self.pool.give(conn)  §2
        """

    assert edited("import asyncio\n" + dedent(source), Edit.RELEASE_IN_FINALLY) is not None
    assert edited("from trio import Event\n" + dedent(source), Edit.RELEASE_IN_FINALLY) is None


def test_a_release_in_a_handler_around_it_is_not_doubled() -> None:
    source = """
        async def f(self):
            try:
                await self.lock.acquire()  §1
                await g()
                self.lock.release()  §2
            except OSError:
                self.lock.release()
                raise
        """

    assert edited(source, Edit.HOLD_IN_ASYNC_WITH) is None
    assert edited(source.replace("self.lock.release()", "self.busy = False"), Edit.UNDO_IN_FINALLY)


def test_the_comment_of_what_moves_moves_too() -> None:
    assert changes(
        Edit.UNDO_IN_FINALLY,
        """
        async def f(self):
            self.n += 1  §1
            try:
                await g()
                # and back
                self.n -= 1  # by one §2
            except OSError:
                self.n -= 1
                raise
        """,
        """
        async def f(self):
            self.n += 1
            try:
                await g()
            finally:
                # and back
                self.n -= 1  # by one
        """,
    )


def test_a_try_whose_comments_would_get_lost_is_left() -> None:
    source = """
        async def f(lock):
            await lock.acquire()  §1
            await setup()
            try:  # said
                await work()
            finally:
                lock.release()  §2
        """

    assert edited(source, Edit.HOLD_IN_ASYNC_WITH) is None


def test_an_undo_that_needs_what_the_region_binds_is_left() -> None:
    source = """
        async def f(self):
            await self.pool.take()  §1
            conn = await g()
            self.pool.give(conn)  §2
        """

    assert edited(source, Edit.RELEASE_IN_FINALLY) is None


def test_of_two_turns_with_one_lock_only_the_first_is_changed() -> None:
    assert changes(
        Edit.HOLD_IN_ASYNC_WITH,
        """
        async def f(lock):
            await lock.acquire()  §1
            await g()
            lock.release()  §2
            await lock.acquire()
            await h()
            lock.release()
        """,
        """
        async def f(lock):
            async with lock:
                await g()
            await lock.acquire()
            await h()
            lock.release()
        """,
    )


# --------------------------------------------------------------------------- futures


def test_a_completion_is_guarded() -> None:
    assert changes(
        Edit.GUARD_COMPLETION,
        """
        def f(self):
            # above
            self.reply.set_result(  # beside §1
                parse(1),
            )
            g()
        """,
        """
        def f(self):
            # above
            if not self.reply.done():
                self.reply.set_result(  # beside
                    parse(1),
                )
            g()
        """,
    )


def test_what_is_awaited_for_a_completion_comes_first() -> None:
    assert changes(
        Edit.GUARD_COMPLETION,
        """
        async def f(done, result):
            done.set_result(await work)  # said §1
            g()
        """,
        """
        async def f(done, result):
            outcome = await work
            if not done.done():
                done.set_result(outcome)  # said
            g()
        """,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "self.take(key).set_result(1)",
        "self.waiting[key()].set_result(1)",
        "x = reply.set_result(1)",
        "reply.set_result(1); g()",
        "reply.set_result((x := 1))",
        "if key: reply.set_result(1)",
        "set_result(1)",
    ],
)
def test_a_completion_that_cannot_be_guarded_is_left(statement: str) -> None:
    text = f"def f(self):\n    {statement}\n"
    tree = libcst.parse_module(text)
    steps = lower(tree).functions[1].steps
    number = max(number for number, step in enumerate(steps) if isinstance(step, ir.Call) and step.args)
    fix = Fix(Edit.GUARD_COMPLETION, (Site("main", 1, number),))

    assert possible(text.encode(), [fix]) == frozenset()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import asyncio\nX", "import asyncio\nasyncio.shield(self.task)"),
        ("import asyncio as aio\nX", "import asyncio as aio\naio.shield(self.task)"),
        ("from asyncio import shield\nX", "from asyncio import shield\nshield(self.task)"),
        ("from asyncio import Lock, shield as s\nX", "from asyncio import Lock, shield as s\ns(self.task)"),
        ("X", "import asyncio\nasyncio.shield(self.task)"),
        ("import os\nX", "import asyncio\nimport os\nasyncio.shield(self.task)"),
        ('"""Doc."""\n\nimport os\nX', '"""Doc."""\n\nimport asyncio\nimport os\nasyncio.shield(self.task)'),
        (
            '"""Doc."""\nfrom __future__ import annotations\nX',
            '"""Doc."""\nfrom __future__ import annotations\n\nimport asyncio\nasyncio.shield(self.task)',
        ),
        ("# Licence\n\nimport os\nX", "# Licence\n\nimport asyncio\nimport os\nasyncio.shield(self.task)"),
        (
            "def g():\n    import asyncio\nX",
            "import asyncio\ndef g():\n    import asyncio\nasyncio.shield(self.task)",
        ),
    ],
)
def test_a_shield_is_called_as_the_module_calls_it(before: str, after: str) -> None:
    function = "async def f(self):\n    return (await {}).x{}\n"
    head, _, _ = before.rpartition("X")
    new_head, _, call = after.rpartition("\n")
    new_head = f"{new_head}\n" if new_head else ""

    assert edited(head + function.format("self.task", "  §1"), Edit.SHIELD) == new_head + function.format(
        call, ""
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("await(self.task)", "await asyncio.shield((self.task))"),
        ("await self.tasks[ 0 ]", "await asyncio.shield(self.tasks[ 0 ])"),
        ("await asyncio.wait_for(self.task, 5)", "await asyncio.wait_for(asyncio.shield(self.task), 5)"),
        ("await asyncio.shield(self.task)", None),
        ("await asyncio.wait_for(asyncio.shield(self.task), 5)", None),
        ("await asyncio.wait_for(fut=self.task, timeout=5)", None),
    ],
)
def test_what_is_awaited_is_shielded_once(before: str, after: str | None) -> None:
    text = "import asyncio\nasync def f(self):\n    return {}{}\n"

    assert edited(text.format(before, "  §1"), Edit.SHIELD) == (after and text.format(after, ""))


# --------------------------------------------------------------------------- files

BUSY = "async def f(self):\n    self.busy = True\n    await g('é')\n    self.busy = False\n"
FREE = (
    "async def f(self):\n    self.busy = True\n    try:\n        await g('é')\n"
    "    finally:\n        self.busy = False\n"
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("# coding: latin-1\n", "latin-1"),
        ("# coding: utf-8\n", "utf-8-sig"),
    ],
)
@pytest.mark.parametrize("indent", ["\t", "  ", "    "])
def test_line_ends_indentation_and_encoding_are_kept(
    newline: str, last: bool, head: str, encoding: str, indent: str
) -> None:
    def written(text: str) -> bytes:
        text = (head + text).replace("    ", indent).replace("\n", newline)
        return (text if last else text.removesuffix(newline)).encode(encoding)

    fix = fix_at(head + BUSY, Edit.UNDO_IN_FINALLY, [line + head.count("\n") for line in (2, 4)])
    result = mended(written(BUSY), [fix])

    assert result is not None
    assert result.data == written(FREE)


def test_a_file_that_the_parser_does_not_give_back_to_the_byte_is_left() -> None:
    fix = fix_at(BUSY, Edit.UNDO_IN_FINALLY, [2, 4])

    assert mended(BUSY.replace("\n", "\r").encode(), [fix]) is None


def test_fixes_that_do_not_touch_each_other_are_made_together() -> None:
    text = BUSY + "\n" + BUSY
    fixes = [fix_at(text, Edit.UNDO_IN_FINALLY, lines) for lines in ([2, 4], [7, 9])]

    result = mended(text.encode(), reversed(fixes))

    assert result is not None
    assert result.data.decode() == FREE + "\n" + FREE
    assert result.fixes == tuple(fixes)


def test_of_fixes_in_the_same_place_the_first_is_made() -> None:
    text = (
        "async def f(self):\n    self.a = 1\n    self.b = 1\n    await g()\n    self.b = 0\n    self.a = 0\n"
    )
    fixes = [fix_at(text, Edit.UNDO_IN_FINALLY, lines) for lines in ([2, 6], [3, 5])]

    result = mended(text.encode(), fixes)

    assert possible(text.encode(), fixes) == frozenset(fixes)
    assert result is not None
    assert result.fixes == (fixes[0],)


def test_a_fix_of_two_functions_is_none() -> None:
    sites = (Site("main", 1, 0), Site("main", 2, 0))

    assert possible((BUSY + BUSY).encode(), [Fix(Edit.UNDO_IN_FINALLY, sites)]) == frozenset()


def test_long_sums_beside_a_fix_do_no_harm() -> None:
    text = "x = " + " + ".join(["a"] * 1500) + "\n" + BUSY
    result = mended(text.encode(), [fix_at(text, Edit.UNDO_IN_FINALLY, [3, 5])])

    assert result is not None
    assert result.data.decode().endswith(FREE)


def test_a_text_that_is_no_python_has_no_fixes() -> None:
    fix = Fix(Edit.SHIELD, (Site("main", 1, 0),))

    assert possible(b"def f(:\n", [fix]) == frozenset()
    assert mended(b"def f(:\n", [fix]) is None
