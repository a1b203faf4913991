"""A cheap filter for obligations: which functions take something on, or undo it, round an await."""

from cancellint.analysis.effects.acts import UNDOES, UNDONE_BY
from cancellint.analysis.flow.facts import Facts
from cancellint.model.ir import Assign, Attr, Catch
from cancellint.model.summary import Act, Verb


def may_owe(facts: Facts) -> bool:
    """Tell cheaply whether a function can leave an obligation undischarged at all."""
    if not any(True for _ in facts.awaits()):
        return False
    if _makes_a_lock(facts) or entering(facts.function.name) is not None:
        return True
    acts = [(number, act) for number, found in facts.acts.items() for act in found]
    if any(
        act.verb in (Verb.ACQUIRES, Verb.RELEASES) or (act.verb in UNDOES and gives_back_local(act))
        for _, act in acts
    ):
        return True
    shared = [
        (number, act) for number, act in acts if act.subject.is_visible_to_callers or act.subject.fields
    ]
    undone = {(act.verb, act.subject) for _, act in shared if act.verb in UNDOES}
    if undone and any(isinstance(step, Catch) for step in facts.function.steps):
        return True
    return any(
        (UNDONE_BY.get(act.verb), act.subject) in undone
        or (act.verb is Verb.ADDS and isinstance(facts.function.steps[number], Assign))
        for number, act in shared
    )


def _makes_a_lock(facts: Facts) -> bool:
    """Tell whether a method that takes something changes an attribute itself."""
    return leaving(facts.function.name) is not None and any(
        isinstance(step, Assign) and isinstance(step.target, Attr) for step in facts.function.steps
    )


def gives_back_local(act: Act) -> bool:
    """Tell whether a local object is closed, or given to an owner. `lock.release()` gives nothing back."""
    closes = act.verb is Verb.CLOSES or (act.verb is Verb.RELEASES and act.item is not None)
    return closes and not act.subject.is_visible_to_callers and not act.subject.fields


def leaving(name: str) -> str | None:
    """Return what the method is called that ends what a method of this name begins."""
    if name == "__aenter__":
        return "__aexit__"
    return name.replace("acquire", "release") if "acquire" in name else None


def entering(name: str) -> str | None:
    """Return what the method is called that begins what a method of this name ends, by giving it back."""
    return name.replace("release", "acquire") if "release" in name else None
