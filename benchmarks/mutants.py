"""How many small faults the tests of a module notice: mutation testing, in a copy of the checkout.

python benchmarks/mutants.py --tests tests/analysis/engine cancellint/analysis/engine/solver.py …

Each mutant is one module with one change (a comparison turned round, `and` for `or`, a constant off by one, a
statement left out). Survivors are printed: each is a missing test, or a change that means the same. First the
tests have to pass on each module as it is, written by `ast.unparse`: where they fail anyway, none survives.
"""

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120
"""Seconds of one run of the tests; a mutant that hangs is noticed."""

TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


class Mutant(NamedTuple):
    """A module with one change."""

    path: Path
    line: int
    change: str
    text: str


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    for number, node in enumerate(ast.walk(tree)):
        for change, new in _changes(node):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[number]
            target.__dict__.clear()
            target.__class__ = type(new)
            target.__dict__.update(ast.copy_location(new, node).__dict__)
            yield Mutant(path, node.lineno, change, ast.unparse(ast.fix_missing_locations(changed)))


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=others) if type(op) in TURNED:
            yield f"turned: {ast.unparse(node)}", ast.Compare(left, [TURNED[type(op)]()], others)
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"and/or: {ast.unparse(node)}", ast.BoolOp(other, values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"without not: {ast.unparse(node)}", operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SWAPPED and not _is_type(node):
            yield f"swapped: {ast.unparse(node)}", ast.BinOp(left, SWAPPED[type(op)](), right)
        case ast.Constant(value=bool(value)):
            yield f"not {value}", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield f"{value} + 1", ast.Constant(value + 1)
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break():
            yield f"left out: {ast.unparse(node)}", ast.Pass()
        case _:
            pass


def _is_type(node: ast.BinOp) -> bool:
    """Tell whether `|` joins types or patterns."""
    return isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Name | ast.Constant | ast.Attribute)


def survives(mutant: Mutant, folder: Path, tests: list[str], only: str) -> bool:
    """Tell whether all tests pass with a mutant in the place of its module."""
    target = folder / mutant.path.relative_to(ROOT)
    original = target.read_text("utf-8")
    target.write_text(mutant.text, "utf-8")
    asked = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-k", only, *tests]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *asked],
            cwd=folder,
            env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=PATIENCE,
        )
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original, "utf-8")


def main() -> None:
    """Try a sample of the mutants of these modules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("--only", default="", help="which of these tests, as pytest's -k")
    parser.add_argument("--sample", type=int, default=0, help="how many mutants to try, all of them if 0")
    options = parser.parse_args()
    every = [mutant for path in options.modules for mutant in mutants(path.resolve())]
    chosen = random.Random(0).sample(every, options.sample) if 0 < options.sample < len(every) else every
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache"))
        for path in dict.fromkeys(mutant.path for mutant in chosen):
            unchanged = Mutant(path, 0, "unchanged", ast.unparse(ast.parse(path.read_text("utf-8"))))
            if not survives(unchanged, folder, options.tests, options.only):
                parser.error(f"the tests fail on {path.relative_to(ROOT)} as it is")
        for mutant in chosen:
            if survives(mutant, folder, options.tests, options.only):
                survivors += 1
                print(f"{mutant.path.relative_to(ROOT)}:{mutant.line}: {mutant.change}", flush=True)
    print(f"{survivors} of {len(chosen)} mutants survive ({len(every)} there are)")


if __name__ == "__main__":
    main()
