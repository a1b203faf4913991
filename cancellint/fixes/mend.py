"""The fixes of one file: which of them its text admits, and the text with them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, assert_never

import libcst as cst
from msgspec.structs import replace

from cancellint.fixes.guard_completion import guarded
from cancellint.fixes.imports import with_asyncio
from cancellint.fixes.release_in_finally import released
from cancellint.fixes.shield import shielded
from cancellint.fixes.syntax import Change, Syntax, comments
from cancellint.fixes.undo_in_finally import undone
from cancellint.fixes.widen_handler import widened
from cancellint.frontend.excerpts import Excerpt
from cancellint.frontend.guards import Refusal
from cancellint.frontend.lower import room_to_recurse
from cancellint.frontend.parse import parse
from cancellint.frontend.positions import DEFINITION, nodes
from cancellint.model.finding import Edit, Fix


class Mended(NamedTuple):
    """A file's text with fixes, and those that are in it."""

    data: bytes
    fixes: tuple[Fix, ...]


def possible(data: bytes, fixes: Iterable[Fix]) -> frozenset[Fix]:
    """Those of a file's fixes that its text admits, each on its own."""
    tree = parse(data)
    return frozenset() if isinstance(tree, Refusal) else possible_in(Excerpt(data, tree), fixes)


def possible_in(seen: Excerpt, fixes: Iterable[Fix]) -> frozenset[Fix]:
    """The same of a file of which enough is parsed already."""
    if not _gives_back(seen.tree, seen.data):
        return frozenset()
    there = {_within(seen, fix): fix for fix in fixes}
    return frozenset(there[each] for each in _changes(seen.tree, there))


def _within(seen: Excerpt, fix: Fix) -> Fix:
    sites = tuple(replace(site, function=seen.number(site.function)) for site in fix.sites)
    return replace(fix, sites=sites)


def mended(data: bytes, fixes: Iterable[Fix]) -> Mended | None:
    """The text with as many of these fixes as go together, or None where it stays as it is.

    Of fixes that touch the same statements the first is made; the others may be possible afterwards.
    """
    tree = _tree(data)
    if tree is None:
        return None
    chosen = _compatible(tree, _changes(tree, fixes))
    with room_to_recurse():
        new = _replaced(tree, tuple(chosen.values())).bytes
    if not chosen or new == data or _tree(new) is None:
        return None
    return Mended(new, tuple(chosen))


def _tree(data: bytes) -> cst.Module | None:
    """The tree of a text that it gives back to the byte."""
    tree = parse(data)
    return None if isinstance(tree, Refusal) or not _gives_back(tree, data) else tree


def _gives_back(tree: cst.Module, data: bytes) -> bool:
    with room_to_recurse():
        return tree.bytes == data


def _changes(tree: cst.Module, fixes: Iterable[Fix]) -> Mapping[Fix, Change]:
    """The change for each fix that can be made, in the order of their sites."""
    ordered = sorted(fixes, key=lambda fix: (fix.sites, fix.edit))
    found = nodes(tree, {place for fix in ordered for place in _places(fix)})
    syntax: dict[int, Syntax] = {}
    changes: dict[Fix, Change] = {}
    for fix in ordered:
        function, *others = {site.function for site in fix.sites}
        if not others:
            if function not in syntax:
                syntax[function] = Syntax(tree, found[function, DEFINITION])
            steps = [found[site.function, site.step] for site in fix.sites]
            change = _change(fix.edit, syntax[function], steps)
            if change is not None and not _loses_comment(change):
                changes[fix] = change
    return changes


def _loses_comment(change: Change) -> bool:
    return bool(Counter(comments(change.replaced)) - Counter(comments(change.by)))


def _places(fix: Fix) -> Iterable[tuple[int, int]]:
    for site in fix.sites:
        yield site.function, site.step
        yield site.function, DEFINITION


def _change(edit: Edit, syntax: Syntax, steps: Sequence[cst.CSTNode]) -> Change | None:
    match edit:
        case Edit.WIDEN_HANDLER:
            return widened(syntax, steps, whatever=False)
        case Edit.WIDEN_ANY_HANDLER:
            return widened(syntax, steps, whatever=True)
        case Edit.RELEASE_IN_FINALLY:
            return released(syntax, steps, async_with=False)
        case Edit.HOLD_IN_ASYNC_WITH:
            return released(syntax, steps, async_with=True)
        case Edit.UNDO_IN_FINALLY:
            return undone(syntax, steps)
        case Edit.GUARD_COMPLETION:
            return guarded(syntax, steps)
        case Edit.SHIELD:
            return shielded(syntax, steps)
        case _:
            assert_never(edit)


# --------------------------------------------------------------------------- making changes


def _compatible(tree: cst.Module, changes: Mapping[Fix, Change]) -> Mapping[Fix, Change]:
    """The changes of which none lies within another, the first come first."""
    syntax = Syntax(tree, tree) if len(changes) > 1 else None
    chosen: dict[Fix, Change] = {}
    taken: set[cst.CSTNode] = set()
    above: set[cst.CSTNode] = set()
    for fix, change in changes.items():
        around = set() if syntax is None else {*syntax.around(change.replaced)}
        if change.replaced not in above and not taken.intersection({change.replaced, *around}):
            chosen[fix] = change
            taken.add(change.replaced)
            above |= around
    return chosen


def _replaced(tree: cst.Module, changes: Sequence[Change]) -> cst.Module:
    module = tree.visit(_Replacing({change.replaced: change.by for change in changes}))
    assert isinstance(module, cst.Module)
    return with_asyncio(module) if any(change.imports_asyncio for change in changes) else module


class _Replacing(cst.CSTTransformer):
    """Puts other syntax in the place of some nodes, whose own insides are left as they are."""

    def __init__(self, by: Mapping[cst.CSTNode, cst.CSTNode]) -> None:
        super().__init__()
        self.by = by

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node not in self.by

    def on_leave(  # type: ignore[override]  # what a node is replaced by is of a kind that may stand there
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode:
        return self.by.get(original_node, updated_node)
