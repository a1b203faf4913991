"""What an undischarged obligation means for the program, in words."""

from typing import assert_never

from cancellint.analysis.explain.traces import Traces
from cancellint.analysis.hazards.obligations.obligations import Debt, ObligationKind
from cancellint.model.summary import Act, Verb
from cancellint.model.types import FunctionKey


def left_undone(traces: Traces, key: FunctionKey, debt: Debt) -> str:
    """Return what stays as it should not, as the start of a sentence."""
    name = traces.shown(key, debt.act.subject)
    if debt.kind is ObligationKind.CLEANUP:
        return _not_done(name, debt.act)
    if debt.witness is not None and debt.witness.act.verb is Verb.CLOSES:
        return f"`{name}` is never closed"
    return _stays(traces, key, name, debt.act)


def taken_on(debt: Debt) -> str:
    """Return what happened to the subject of a debt where it began."""
    match debt.act.verb:
        case Verb.ACQUIRES:
            return "it is acquired here"
        case Verb.SETS:
            return "it is set here"
        case Verb.RAISES:
            return "it is raised here"
        case _:
            return "it is added here"


def _stays(traces: Traces, key: FunctionKey, name: str, act: Act) -> str:
    """Return what is left of something that was taken on."""
    match act.verb:
        case Verb.ACQUIRES if act.item is not None and not act.item.root.startswith("const:"):
            return f"`{name}` never goes back to `{traces.shown(key, act.item)}`"
        case Verb.ACQUIRES:
            return f"`{name}` is never {'given back' if act.item is not None else 'released'}"
        case Verb.SETS:
            return f"`{name}` stays set"
        case Verb.RAISES:
            return f"`{name}` stays raised"
        case Verb.ADDS:
            return f"what was added to `{name}` stays there"
        case _:
            return _not_done(name, act)


def _not_done(name: str, act: Act) -> str:
    """Return what an error handler does, as not done."""
    match act.verb:
        case Verb.RELEASES | Verb.ACQUIRES:
            return f"`{name}` is not released"
        case Verb.RESETS:
            return f"`{name}` is not reset"
        case Verb.SETS:
            return f"`{name}` is not set"
        case Verb.LOWERS:
            return f"`{name}` is not lowered"
        case Verb.REMOVES | Verb.ADDS:
            return f"the entry stays in `{name}`"
        case Verb.CLOSES | Verb.SENDS | Verb.RECEIVES:
            return f"`{name}` is not closed"
        case Verb.RAISES:
            return f"`{name}` is not raised"
        case _:
            assert_never(act.verb)
