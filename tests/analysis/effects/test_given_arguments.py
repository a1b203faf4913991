"""What a call gives to a function of the project is that function's, however the call is written."""

from textwrap import dedent

import pytest

from tests.analysed import losses

STORE = dedent("""
    import asyncio
    from functools import partial

    class Store:
        def __init__(self, other: "Store"):
            self.handler = other.keep
        def keep(self, a, b=None):
            self.last = a
        def look(self, a, b=None):
            print(a)
        def keep_all(self, *all):
            self.every = all
        def keep_named(self, **named):
            self.by_name = named
        def hand_on(self, *args, **kwargs):
            self.keep(*args, **kwargs)
        def keep_by_place(self, a, /, **named):
            self.by_name = named

    async def f(self: Store, reader: asyncio.StreamReader):
        data = [await reader.readline()]
        CALL
        more = await reader.readline()
        return data, more
""")


@pytest.mark.parametrize(
    "call",
    [
        "self.keep(data)",
        "self.keep(b=1, a=data)",
        "self.keep(*data)",
        "self.keep(**data)",
        "self.keep_all(data)",
        "self.keep_all(*data)",
        "self.keep_named(a=data)",
        "self.keep_named(**data)",
        "self.hand_on(data)",
        "self.hand_on(*data)",
        "self.hand_on(a=data)",
        "self.keep_by_place(1, a=data)",
        "Store.keep(self, data)",
        "partial(self.keep, data)()",
        "partial(self.keep, b=1)(data)",
        "self.handler(data)",
    ],
)
def test_what_is_given_to_somebody_who_keeps_it_is_kept(call: str) -> None:
    assert losses(STORE.replace("CALL", call)) == []


@pytest.mark.parametrize(
    "call",
    [
        "self.look(data)",
        "self.look(*data)",
        "self.look(**data)",
        "self.keep(1, data)",
        "self.keep(a=1, b=data)",
        "self.keep_by_place(data)",
        "partial(self.keep, 1)(data)",
    ],
)
def test_what_is_given_to_somebody_who_only_looks_is_not(call: str) -> None:
    assert losses(STORE.replace("CALL", call)) == [
        "loses reader if cancelled (held, asyncio.StreamReader.readline)"
    ]
