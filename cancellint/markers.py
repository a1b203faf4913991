"""A promise that code makes about itself, for those who prefer a decorator to a comment.

This module imports nothing, so that using it costs nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Marked = TypeVar("_Marked")


def cancel_safe(function: "_Marked") -> "_Marked":
    """State that a coroutine, method or generator loses nothing if it is cancelled at any of its awaits.

    The function is given back as it is. cancellint trusts the promise where the function is called and
    checks it where it is made (CAN112).
    """
    return function
