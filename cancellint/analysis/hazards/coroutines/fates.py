"""What becomes of a coroutine."""

import enum

from msgspec import Struct

from cancellint.model.types import FunctionKey


class Fate(enum.IntEnum):
    """Whether anybody uses a coroutine."""

    USED = 0
    SOMETIMES = 1
    """it is lost on some path"""
    LOST = 2
    """no path uses it"""


class Ended(Struct, frozen=True):
    """What becomes of a coroutine; `lost` is the step that loses hold of it, -1 where the function ends."""

    fate: Fate
    lost: int = -1
    holder: str = ""
    """the variable that had it, if one did"""
    by_error: bool = False
    """it is lost only where an exception or a cancellation is caught on the way"""
    left_by: FunctionKey | None = None
    """the function of the project that was given it and does not use it, or not always"""
