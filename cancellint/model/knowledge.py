"""Facts about library calls, as read from `rules/knowledge/*.toml`.

The user-facing description of the format is `rules/knowledge/README.md`.
"""

import enum
from typing import Literal

from msgspec import Struct, field


class Role(enum.StrEnum):
    """What a call does that cancellation cares about."""

    CONSUMES = "consumes"
    """takes data out of a source"""
    SENDS = "sends"
    """puts data into a sink"""
    ACQUIRES = "acquires"
    RELEASES = "releases"
    CLOSES = "closes"
    """makes a source or resource unusable for good"""
    WAITS = "waits"
    """waits for an event, a condition, a task, time"""
    SPAWNS = "spawns"
    """starts its coroutine argument as a task, or its callable as a task or in a thread"""
    RACES = "races"
    """may cancel, or stop waiting for, its coroutine arguments or body"""
    SHIELDS = "shields"
    BLOCKS = "blocks"
    """blocks the thread"""
    CONSTRUCTS = "constructs"
    PAUSES = "pauses"
    """keeps a peer from sending until further notice"""
    SERVES = "serves"
    """calls its coroutine argument, `calls`, or what it decorates to answer a request, and cancels that call
    when whoever asked has gone; of a method: its overrides are called so"""
    REMEMBERS = "remembers"
    """of a decorator: keeps what the function returns, and gives it again"""
    LOOKS = "looks"
    """reads its arguments and keeps nothing (logging, len, isinstance)"""
    GATHERS = "gathers"
    """awaits several coroutines or tasks and hands over all their results"""
    STORES = "stores"
    """puts its argument into the receiver (`list.append`, `Queue.put_nowait`)"""
    CANCELS = "cancels"
    """requests a cancellation of the receiver (`Task.cancel`, `CancelScope.cancel`)"""
    COMPLETES = "completes"
    """resolves a future"""
    EXAMINES = "examines"
    """tells code of the task that it runs in, and whether somebody cancels that"""
    NOTIFIES = "notifies"
    """wakes those who wait for the receiver (`Event.set`, `Condition.notify`, `Queue.task_done`)"""


class Suspends(enum.StrEnum):
    NEVER = "never"
    MAYBE = "maybe"
    ALWAYS = "always"


class Cancel(enum.StrEnum):
    """What a cancellation during the call does to the data it was about to deliver."""

    SAFE = "safe"
    LOSES = "loses"
    """data already taken is gone"""


class Mode(enum.StrEnum):
    """Why a call is not cancel-safe."""

    ACCUMULATES = "accumulates-on-stack"
    RACE = "race"
    KILLS_SOURCE = "kills-source"
    POISONS = "poisons"
    CLOSES = "closes"
    PARTIAL = "partial"
    GHOST = "ghost"
    REMOTE = "remote"
    THREAD_CONTINUES = "thread-continues"
    WRAPPER = "wrapper"
    CANCELS_AWAITED = "cancels-awaited"


class RaceKind(enum.StrEnum):
    """How a race ends its losers and where control goes when it does."""

    CANCELS_RAISES = "cancels-raises"
    """`wait_for`, `timeout`, `fail_after`: the loser is cancelled and TimeoutError is raised"""
    CANCELS_FALLS_THROUGH = "cancels-falls-through"
    """`move_on_after`: the body is cancelled and control goes on after it"""
    LEAVES_RUNNING = "leaves-running"
    """`asyncio.wait`, `as_completed`: losers go on running until someone cancels them"""
    SCOPE = "scope"
    """task groups, bare cancel scopes: the body is cancelled when a sibling fails or `cancel()` is called"""


class SourceKind(enum.StrEnum):
    """Where the data that a source gives comes from, and in which pieces."""

    QUEUE = "queue"
    """whole items that this process itself puts there"""
    STREAM = "stream"
    """bytes that a peer sends, in pieces of any size"""
    MESSAGES = "messages"
    """whole messages that a peer sends"""


class LockKind(enum.StrEnum):
    """Who waits while somebody else holds a lock or semaphore."""

    THREAD = "thread"
    """the whole thread, and with it every task of its event loop"""
    ASYNC = "async"
    """the task alone"""


class Callback(enum.StrEnum):
    """When a library calls a method that its users override, or a function that they give it."""

    FIRST = "first"
    """before any other method of the object"""
    DATA = "data"
    """with whatever a peer sends"""
    END = "end"
    """when the peer sends no more"""


class _Table(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, rename="kebab"
):
    """Common settings of all that stands in a table."""


class Condition(_Table, frozen=True):
    """What one argument of a call must look like.

    `arg` is a position (`"0"`) or a parameter's name; `Entry.params` tells which name has which
    position. With `absent` the condition holds where the argument is missing, with `equals` where it
    is a literal of one of these texts (`"-1"`, `"None"`) or a constant of such a name
    (`"ALL_COMPLETED"`); with both, where either holds.
    """

    arg: str
    absent: bool = False
    equals: tuple[str, ...] = ()


class Variant(_Table, frozen=True):
    """An exception to an entry, by argument or by version; the first that applies overrides what it sets.

    `arg`, `absent` and `equals` are those of a `Condition`. Everything asked for in one variant must hold.
    """

    arg: str | None = None
    absent: bool = False
    equals: tuple[str, ...] = ()
    also: tuple[Condition, ...] = ()
    """further arguments that must look right too"""
    python: str | None = None
    """a version specifier (`"<3.12"`) the target Python must meet"""
    version: str | None = None
    """a version specifier the library must meet"""
    roles: tuple[Role, ...] | None = None
    suspends: Suspends | None = None
    cancel: Cancel | None = None
    mode: Mode | None = None
    race: RaceKind | None = None
    delivers: bool | None = None
    fails: bool | None = None
    returns: str | None = None
    same_as: str | None = None
    """empty: a class of its own after all"""
    note: str | None = None


class Entry(_Table, frozen=True):
    """One class, function or method of a library, under its public dotted name.

    Operands (`of`, `into`, `spawned`, `calls`, `raced`, `timeout`) are written `self`, `result`, `arg:0`,
    `arg:name`, `args` (all positional ones), `item` (the elements of `arg:0`), `body` (of the `with`).
    """

    kind: Literal["class", "function", "attribute"] = "function"
    aliases: tuple[str, ...] = ()
    """other dotted names of the same object; a class's alias holds for its methods too"""
    params: tuple[str, ...] = ()
    """names of the positional parameters, without `self`, and of keyword-only ones after them, behind a `*`
    where any number of arguments may come before; needed where an operand or a variant speaks of an argument
    that can be given by name"""
    since: str | None = None
    """the first Python version (of a standard name) or library version that has it"""
    bases: tuple[str, ...] = ()
    """of a class: library classes whose entries it inherits"""
    same_as: str | None = None
    """of a class: the class whose very object it is, where that depends on the version; else an alias does"""
    cancellation: bool = False
    """of an exception: it is what a cancelled await raises"""
    swallows: tuple[str, ...] = ()
    """of a context manager: what it ends, by names of exceptions or by operands that hold such (`args`)"""
    enters: str | None = None
    """of a method of a stack of context managers: the one that the stack's own exit leaves"""
    roles: tuple[Role, ...] = ()
    awaitable: bool = False
    """calling it gives something to await; the roles act when that is awaited"""
    coroutine: bool = False
    """of what is awaitable: calling it gives a coroutine, which does nothing until it is awaited"""
    suspends: Suspends = Suspends.MAYBE
    fails: bool = True
    """it may raise an ordinary exception, be it that of what it waits for"""
    stalls: bool = False
    """of what blocks the thread: for as long as somebody else takes, be it a peer, a process or a thread"""
    duration: str | None = None
    """of what waits for nothing but time: the operand that says how long"""
    until_true: str | None = None
    """of a question: the method that waits until the answer is yes; `await` where the object itself does"""
    until_false: str | None = None
    """the same until the answer is no"""
    holds: Literal["loop", "self"] | None = None
    """of what waits: who refers to the task that waits until it goes on, the event loop or the receiver"""
    of: str = "self"
    """what the role acts on: the source consumed, the lock acquired, the thing closed"""
    source: SourceKind | None = None
    """of a class whose methods consume, or of a consumer: where the data comes from"""
    queue: Literal["queue", "memory stream", "memory channel", "deque"] | None = None
    """of what makes one: what a message calls it; tasks hand things to each other by it"""
    bound: str | None = None
    """of what makes a queue: the operand that limits it"""
    unbounded: tuple[str, ...] = ()
    """what means no limit there: literals' texts, names of constants, `absent`"""
    full: str | None = None
    """of what puts into a queue without waiting: the exception that it raises where there is no room"""
    weak: bool = False
    """of a class of containers: what it holds goes when nobody else holds it"""
    collected: bool = False
    """of a class: the last reference to an object closes it, quietly and at once"""
    into: str = "result"
    """of a consumer: where the data goes (`result`, or `arg:0` for `recv_into`)"""
    cancel: Cancel = Cancel.SAFE
    mode: Mode | None = None
    spawned: str = "arg:0"
    """of a spawner: the coroutine it starts"""
    calls: str | None = None
    """a callable that it runs itself, now or later, with the positional arguments after it; a spawner
    (`start_soon`) starts that call as a task"""
    plainly: str | None = None
    """a callable that it calls, now or later, as a plain function: a coroutine that this gives is dropped"""
    drained_by: str | None = None
    """of what sends without waiting: the method of the same object that waits until there is room again"""
    keeps_kind: bool = False
    """of a decorator: it makes a coroutine function of a coroutine function, a plain one of a plain one"""
    true_of: Literal["awaitables", "coroutine functions"] | None = None
    """of a test: what it holds for"""
    tasks_only: str | None = None
    """of what takes awaitables: a specifier of the Python versions in which it refuses coroutines"""
    in_thread: bool = False
    """of what has `calls`: it calls that in another thread"""
    in_loop: bool = False
    """it may be called only in the thread of the event loop, which it wakes nowhere else"""
    callback: Callback | None = None
    """of a method that users override: when it is called; of what has `calls`: when it calls that"""
    error_closes: bool = False
    """of such a method: an exception that it raises closes the connection"""
    calls_with: tuple[str, ...] = ()
    """types of the positional arguments it makes up for that callable, written as in `returns`
    (`["asyncio.StreamReader", "asyncio.StreamWriter"]` for `start_server`)"""
    raced: str = "arg:0"
    """of a race: the awaitable(s) raced; `body` for a context manager"""
    race: RaceKind | None = None
    raises: str = "asyncio.TimeoutError"
    """of a race that raises: which exception"""
    delivers: bool = False
    """of a race: what a task given to it has done by then is handed over, even if the race is lost"""
    timeout: str | None = None
    """of a race: the operand holding the time limit; a literal None there means no race"""
    returns: str | None = None
    """type of the (awaited) result as an annotation over public names; `arg:0` = the type of that argument,
    `awaited:arg:0` = what awaiting it gives, `task:arg:0` = a task running it, `self:0` = the first type
    argument of the receiver (the item of a `Queue[Item]`)"""
    own_scopes_only: bool = False
    """what it promises, to lose nothing or to shield, holds against the scopes of its own library; a
    cancellation by asyncio itself (`Task.cancel`, `asyncio.timeout`) gets through"""
    level: bool = False
    """of a race: level-triggered, every checkpoint in the cancelled body raises again"""
    lock: LockKind | None = None
    """of a class: of locks and semaphores, who waits for them; of anything else None"""
    permits: str | None = None
    """of a lock's class: the operand that says how many may hold it at once; None where only one may"""
    default_permits: int = 1
    """how many may if that argument is missing"""
    not_across_await: str = ""
    """of a class: why no object of it may be held, by `with`, while an await is suspended"""
    instead: str = ""
    """of such a class: what to do instead"""
    guards: str | None = None
    """of a condition's class: the operand that is the lock it guards with, if one is given"""
    reenters: Literal["waits", "raises", "enters"] = "waits"
    """of a lock's class: what becomes of whoever takes it while having it already"""
    when: tuple[Variant, ...] = ()
    sources: tuple[str, ...] = ()
    """documentation, source file and line, or measured experiment behind the entry; at least one"""
    verified: bool = False
    """the verdict was run, not only read"""
    untested: str = ""
    """why no test of the tables' own runs it; empty where one does, and where there is nothing to run"""
    note: str = ""


class Guess(_Table, frozen=True):
    """What `receiver.method` may be, by both names: a method of a library's class where one is given."""

    receiver: tuple[str, ...]
    methods: tuple[str, ...]
    cls: str = field(name="class", default="")


class Naming(_Table, frozen=True):
    """Naming conventions, as regular expressions for whole names in lower case; `[conventions]` of a table.

    Several tables add up.
    """

    connection: tuple[str, ...] = ()
    """variables and attributes that hold a connection"""
    sides: tuple[str, ...] = ()
    """words that tell the two ends of one connection apart, and nothing else"""
    closes: tuple[str, ...] = ()
    """methods that end their object"""
    cleans_up: tuple[str, ...] = ()
    """first words of the names of functions that end something or tidy up"""
    gives_back: tuple[str, ...] = ()
    """methods that give something back to its owner"""
    sends: tuple[str, ...] = ()
    """methods that send a request"""
    sends_on_connection: tuple[str, ...] = ()
    """the same, of what is named like a connection"""
    receives: tuple[str, ...] = ()
    """methods that wait for what a peer sends"""
    receives_on_connection: tuple[str, ...] = ()
    """the same, of what is named like a connection"""
    takes_reply: tuple[str, ...] = ()
    """methods that are named for the reply they wait for"""
    asks: tuple[str, ...] = ()
    """methods that ask somebody for an answer"""
    fetches: tuple[str, ...] = ()
    """methods that fetch whole messages for the object they belong to"""
    streams: tuple[str, ...] = ()
    """methods that give an iterator over what a peer sends"""
    called_back: tuple[str, ...] = ()
    """methods that are called with whatever a peer sends"""
    begins_or_ends: tuple[str, ...] = ()
    """methods that begin or end a connection"""
    routes: tuple[Guess, ...] = ()
    """decorators that register a handler of requests"""
    stands_for: tuple[Guess, ...] = ()
    """methods that are likely those of a library's class"""
    starts: tuple[Guess, ...] = ()
    """methods that are likely those by which a library's class starts a task or a call in a thread"""
