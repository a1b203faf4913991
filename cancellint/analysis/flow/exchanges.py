"""Requests that are sent and replies that are awaited, in one function and through its calls.

An *exchange* is open from the step that sends a request to the await that takes its reply. Both are found by
what the steps do down to the stream; where a callee is not known, by what it is called. A callee may do
either half, or hold a whole exchange of its own, which leaves nothing open here.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from cancellint.analysis.engine.graph import NORMAL
from cancellint.analysis.engine.limits import Limit
from cancellint.analysis.engine.path_search import Halt, PathPoint, PathSearch
from cancellint.analysis.engine.reachability import after_step, behind, precedes
from cancellint.analysis.flow.connections import Group, one_connection
from cancellint.analysis.flow.facts import Facts
from cancellint.analysis.flow.tainting import Taint
from cancellint.analysis.program.expressions import last_name, parts
from cancellint.model.finding import Confidence, weakest
from cancellint.model.ir import (
    RETURN_EXIT,
    Assign,
    Attr,
    Await,
    AwaitKind,
    Call,
    Const,
    Delete,
    Edge,
    Expr,
    Name,
    Op,
    Temp,
)
from cancellint.model.knowledge import SourceKind
from cancellint.model.summary import Act, Closes, Path, Replaces, Take, Verb
from cancellint.model.types import FunctionKey

DEEPEST = Limit(6, "calls within calls that make up an exchange")
"""Calls within calls in which the halves of an exchange are looked for."""


class Reply(Struct, frozen=True):
    """A step that takes what a peer has sent."""

    step: int
    source: Path
    fact: Act | Take
    confidence: Confidence
    queued: bool = False
    """it comes out of a queue that somebody else fills"""


class Exchange(Struct, frozen=True):
    """A request is sent at one step, and its reply awaited at another."""

    sent: int
    request: Act
    reply: Reply
    confidence: Confidence

    @property
    def group(self) -> Group:
        return Group(self.request.subject, self.reply.source)


def may_exchange(facts: Facts) -> bool:
    """Tell cheaply whether a function sends anything, and then takes something from what may be the peer."""
    requests = tuple(_requests(facts))
    found = tuple(replies(facts)) if requests else ()
    for step, act in requests if found else ():
        rest, blocks = after_step(facts.flow, step)
        for reply in found:
            later = reply.step in rest or facts.block_of(reply.step) in blocks
            if later and (reply.queued or _pair(facts, act, reply) is not None):
                return True
    return False


def replies(facts: Facts) -> Iterator[Reply]:
    """Yield where a function waits for something from a peer, directly or in a callee."""
    for _, step in facts.awaits():
        node = facts.function.steps[step]
        if not isinstance(node, Await) or node.kind not in (AwaitKind.EXPRESSION, AwaitKind.YIELD_FROM):
            continue
        for take in facts.effect(step).takes:
            kind = facts.source_kind(take.origin)
            if kind is not None:
                firmly = _firmly(facts, step, take)
                yield Reply(step, take.source, take, firmly, queued=kind is SourceKind.QUEUE)
        for act in facts.acts.get(step, ()):
            if act.verb is Verb.RECEIVES:
                yield Reply(step, act.subject, act, act.confidence)


def _firmly(facts: Facts, step: int, take: Take) -> Confidence:
    """Return how firmly it is known that an await takes data.

    Which of several overrides runs matters little where all are named for the reply that they wait for.
    """
    if take.confidence is not Confidence.POSSIBLE:
        return take.confidence
    match facts.function.steps[step]:
        case Await(value=Temp(step=made)):
            call = facts.function.steps[made]
            name = last_name(call.func) if isinstance(call, Call) else None
            if name in facts.conventions.takes_reply:
                return Confidence.LIKELY
        case _:
            pass
    return take.confidence


class Exchanges:
    """Finds the exchanges of functions; what it has learned of a callee is kept."""

    def __init__(self, facts_of: Callable[[FunctionKey], Facts]) -> None:
        self._facts_of = facts_of
        self._open: dict[tuple[FunctionKey, Path], bool] = {}

    def of(self, key: FunctionKey) -> tuple[Exchange, ...]:
        """Return the exchanges of a function, for each connection in the order of their replies."""
        facts = self._facts_of(key)
        firm = tuple(each for each in replies(facts) if each.confidence is not Confidence.POSSIBLE)
        found: dict[tuple[int, Path], Exchange] = {}
        for step, request in _requests(facts):
            if request.confidence is not Confidence.POSSIBLE and self._is_open_after(facts, step, request):
                for exchange in self._answered(facts, step, request, firm):
                    found[exchange.reply.step, exchange.reply.source] = exchange
        return tuple(found[asked] for asked in sorted(found))

    def serves(self, key: FunctionKey, group: Group) -> bool:
        """Tell whether a function loops over what it reads from a connection and answers: a server's side."""
        facts = self._facts_of(key)
        sending = [step for step, act in _requests(facts) if act.subject == group.request]
        for reply in replies(facts) if sending else ():
            home = facts.block_of(reply.step)
            cycle = facts.flow.cycle(home) if reply.source == group.reply else frozenset()
            turn = [step for step in sending if facts.block_of(step) in cycle and step != reply.step]
            if turn and not any(precedes(facts.flow, step, reply.step) for step in turn):
                return True
        return False

    # ------------------------------------------------------------------ pairs

    def _answered(
        self, facts: Facts, step: int, request: Act, found: tuple[Reply, ...]
    ) -> Iterator[Exchange]:
        """Yield the exchanges that a request begins: it is the last one before the reply is awaited."""
        paired = [(reply, firmly) for reply in found if (firmly := _pair(facts, request, reply)) is not None]
        if not paired or self._answers(facts, step, request):
            return
        sends = {number for number, act in _requests(facts) if act.subject == request.subject}
        wanted = {reply.step for reply, _ in paired} | sends
        for answered in _first_reached(facts, step, wanted, request):
            for reply, firmly in paired:
                if reply.step != answered or is_matched(facts, reply):
                    continue
                if answered not in sends or self._takes_first(facts, reply):
                    yield Exchange(step, request, reply, firmly)

    def _comes_before(self, facts: Facts, reply: Reply, step: int, request: Act) -> bool:
        """Tell whether the function reads before it sends: it answers, or has started a longer dialogue."""
        sends = {number for number, act in _requests(facts) if act.subject == request.subject}
        return reply.step not in sends and step in _first_reached(facts, reply.step, sends, None)

    # ------------------------------------------------------------------ halves in callees

    def _is_open_after(self, facts: Facts, step: int, request: Act, depth: int = DEEPEST) -> bool:
        """Tell whether a step that sends leaves the reply to come: it does not take it as well."""
        if not any(_pair(facts, request, reply) for reply in replies(facts) if reply.step == step):
            return True
        via = facts.effect(step).via.get(request)
        if via is None or not isinstance(via[1], Act):
            return False
        if depth == 0:
            DEEPEST.reached()
            return False
        return self._leaves_open(via[0], via[1], depth - 1)

    def _leaves_open(self, key: FunctionKey, request: Act, depth: int) -> bool:
        """Tell whether a function may return with a request sent after which it takes nothing."""
        asked = (key, request.subject)
        if asked not in self._open:
            self._open[asked] = False
            facts = self._facts_of(key)
            self._open[asked] = any(
                not self._takes_after(facts, step, act)
                and not self._answers(facts, step, act)
                and self._is_open_after(facts, step, act, depth)
                for step, act in _requests(facts)
                if is_same(act, request)
            )
        return self._open[asked]

    def _takes_after(self, facts: Facts, step: int, request: Act) -> bool:
        """Tell whether some path from a step that sends leads to one that takes what may be the reply."""
        taking = {reply.step for reply in replies(facts) if _pair(facts, request, reply) is not None}
        return not taking.isdisjoint(_first_reached(facts, step, taking, request))

    def _answers(self, facts: Facts, step: int, request: Act) -> bool:
        """Tell whether a function has read from the peer what it answers by sending."""
        found = (reply for reply in replies(facts) if _pair(facts, request, reply) is not None)
        return any(self._comes_before(facts, reply, step, request) for reply in found)

    def _takes_first(self, facts: Facts, reply: Reply, depth: int = DEEPEST) -> bool:
        """Tell whether a call that both takes a reply and sends takes one that it has not asked for."""
        via = facts.effect(reply.step).via.get(reply.fact)
        if via is None or not isinstance(via[1], Act | Take):
            return False
        if depth == 0:
            DEEPEST.reached()
            return False
        below = self._facts_of(via[0])
        taking = [each for each in replies(below) if is_same(each.fact, via[1])]
        wanted = {each.step for each in taking}
        sending: set[int] = set()
        asked: set[int] = set()
        for step, act in _requests(below):
            if any(_pair(below, act, each) for each in taking):
                sending.add(step)
                asked.update(_first_reached(below, step, wanted, act))
        return any(
            each.step not in asked and (each.step not in sending or self._takes_first(below, each, depth - 1))
            for each in taking
        )


def is_same(fact: Act | Take, other: Act | Take) -> bool:
    """Tell whether two facts say the same of the same object, be it here or in a summary."""
    match fact, other:
        case Take(source=source, origin=origin), Take():
            return (source, origin) == (other.source, other.origin)
        case Act(verb=verb, subject=subject), Act():
            return (verb, subject) == (other.verb, other.subject)
        case _:
            return False


def _requests(facts: Facts) -> Iterator[tuple[int, Act]]:
    for step, acts in facts.acts.items():
        for act in acts:
            if act.verb is Verb.SENDS:
                yield step, act


def _pair(facts: Facts, request: Act, reply: Reply) -> Confidence | None:
    """Return how firmly a reply answers a request, None where it comes from somewhere else."""
    if reply.queued:
        beside = request.subject.is_sibling(reply.source) or request.subject.root == reply.source.root
        if not beside or not facts.is_filled(reply.source):
            return None
        return weakest(request.confidence, reply.confidence, Confidence.LIKELY)
    firmly = one_connection(facts.conventions.sides, facts.function, request.subject, reply.source)
    return None if firmly is None else weakest(request.confidence, reply.confidence, firmly)


def _first_reached(facts: Facts, step: int, wanted: set[int], request: Act | None) -> frozenset[int]:
    """Return which of the steps come first after a step, without going back in a loop.

    RETURN_EXIT is among them where the function may end before. A connection that is closed or made anew on
    the way has nothing to answer.
    """
    group = Group(request.subject, request.subject) if request is not None else None
    found: set[int] = set()

    def reached(here: PathPoint[tuple[()]], number: int) -> tuple[()] | Halt:
        if number in wanted:
            found.add(number)
            return Halt.STOP
        return Halt.STOP if group is not None and ends(facts, number, group) else ()

    def onward(here: PathPoint[tuple[()]], edge: Edge) -> tuple[()] | None:
        return None if facts.flow.is_back_edge(here.block, edge) else ()

    search = PathSearch(facts.flow, reached, onward, taken=NORMAL)
    left = search.run([behind(facts.flow, step)]).ends
    return frozenset(found | {end.exit for end in left if end.exit == RETURN_EXIT})


def ends(facts: Facts, step: int, group: Group) -> bool:
    """Tell whether a step closes a connection, or puts another in its place."""
    effect = facts.effect(step)
    if any(group.is_ended_by(path) for path in (*effect.paths(Closes), *effect.paths(Replaces))):
        return True
    if any(act.verb is Verb.CLOSES and group.is_ended_by(act.subject) for act in facts.acts.get(step, ())):
        return True
    match facts.function.steps[step]:
        case Assign(target=Attr() as target, op="") | Delete(target=target):
            path = facts.frame.path(target)
            return path is not None and any(end.is_within(path) for end in (group.request, group.reply))
        case Assign(target=Name(id=name), op=""):
            return facts.frame.value_of(name) is None and facts.frame.path(Name(name)) in (
                group.request,
                group.reply,
                group.shared,
            )
        case _:
            return False


# --------------------------------------------------------------------------- replies with a label


def is_matched(facts: Facts, reply: Reply) -> bool:
    """Tell whether a loop reads on until what it has read belongs to what was asked."""
    function = facts.function
    cycle = facts.flow.cycle(facts.block_of(reply.step))
    if not cycle:
        return False
    taken = Taint(function, [Temp(each.step) for each in replies(facts)])
    tests = [block.test for number in cycle if (block := function.blocks[number]).test is not None]
    steps = (function.steps[number] for number in facts.flow.steps_of(cycle))
    values = [step.value for step in steps if isinstance(step, Assign)]
    return any(_compares(facts, taken, each) for each in (*tests, *values))


def _compares(facts: Facts, taken: Taint, expr: Expr) -> bool:
    """Tell whether an expression compares what was read with what this call is about."""
    for part in parts(expr):
        match part:
            case Op(op="==" | "!=" | "in" | "not in" | "is" | "is not", operands=(one, other)):
                for read, asked in ((one, other), (other, one)):
                    if taken.reaches(read) and not taken.reaches(asked) and _is_of_this_call(facts, asked):
                        return True
            case _:
                pass
    return False


def _is_of_this_call(facts: Facts, expr: Expr) -> bool:
    """Tell whether a value differs from call to call: it is no literal, and no constant of the module."""
    if isinstance(expr, Const):
        return False
    path = facts.frame.path(expr)
    return path is None or not path.root.startswith("global:")
