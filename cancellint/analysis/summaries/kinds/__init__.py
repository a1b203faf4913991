"""Kinds of facts that a summary tells, one module each; all of them are found without a list.

A module has a function `told` that yields the facts of one function. What a fact means for a caller, the
fact's class says itself (`Fact.renamed`): a new kind is a class and its `told`, in one module here.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache

from cancellint.analysis.flow.facts import Facts
from cancellint.model.summary import Fact

Told = Callable[[Facts], Iterator[Fact]]


@cache
def kinds() -> tuple[Told, ...]:
    """Return what tells the facts of each kind, by the names of the modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").told for name in names)
