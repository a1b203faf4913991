"""Places in source files."""

from msgspec import Struct


class Span(Struct, frozen=True, order=True):
    """Lines count from 1, columns from 1 in characters; the end column is the first one after the text."""

    line: int
    column: int
    end_line: int
    end_column: int


class Site(Struct, frozen=True, order=True):
    """A step known by number, before positions are computed. `step` is -1 for the function's own `def`."""

    module: str
    """dotted name of the module"""
    function: int
    """index in `Module.functions`"""
    step: int


class Place(Struct, frozen=True, order=True):
    """A span of a file. `symbol` is the qualified name of the enclosing function."""

    path: str
    span: Span
    symbol: str
    cell: int = 0
    """which cell of a notebook the lines count in; 0 in other files"""

    @property
    def text(self) -> str:
        """What the lines count in: the file, or a cell of it."""
        return f"{self.path}:cell {self.cell}" if self.cell else self.path
