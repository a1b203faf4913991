"""Where functions begin and end, for those who ask about text and not about what it means."""

import ast
import warnings
from pathlib import Path

from cancellint.bounded import Unusable, read_bytes
from cancellint.frontend.guards import MAX_BYTES, refusal


def functions_of(file: Path) -> tuple[tuple[int, int], ...]:
    """First and last line of every function of a file; of none where it cannot be read."""
    try:
        data = read_bytes(file, MAX_BYTES)
    except (OSError, Unusable):
        return ()
    if refusal(data) is not None:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return ()
    return tuple(
        (min((node.lineno, *(each.lineno for each in node.decorator_list))), node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
