"""What a function undoes at its end is undone in a `finally`."""

from collections.abc import Sequence

import libcst as cst

from cancellint.fixes.finally_clause import closed_in_finally
from cancellint.fixes.regions import region
from cancellint.fixes.syntax import Change, Syntax


def undone(syntax: Syntax, nodes: Sequence[cst.CSTNode]) -> Change | None:
    """The change of what lies between a change of state and its undo; both are statements of their own."""
    found = region(syntax, nodes)
    return None if found is None else closed_in_finally(found)
