"""Labelled examples for CAN406 dropped-coroutine: what Python 3.11 itself warns about, and what it does not."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import inspect
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import anyio
import anyio.from_thread
import anyio.to_thread
import trio

log = logging.getLogger("svc")


# helper
class ServiceError(Exception):
    pass


# helper
@dataclass
class User:
    id: int
    name: str
    email: str
    admin: bool = False


# helper
async def fetch_user(user_id: int) -> User:
    await asyncio.sleep(0)
    return User(user_id, f"user{user_id}", f"user{user_id}@example.org", user_id == 1)


# helper
async def fetch_role(user_id: int) -> str:
    return "admin" if user_id == 1 else "member"


# helper
async def is_banned(ip: str) -> bool:
    return ip.startswith("10.")


# helper
async def is_healthy(host: str) -> bool:
    return not host.startswith("dead")


# helper
async def probe(host: str) -> float:
    await asyncio.sleep(0)
    if host.startswith("dead"):
        raise ServiceError(host)
    return 0.25


# helper
async def resolve(name: str) -> str:
    if name.startswith("dead"):
        raise ServiceError(name)
    return f"{name}.internal"


# helper
async def load_page(key: str) -> bytes:
    return key.encode()


# helper
async def load_blocklist() -> set[str]:
    return {"mallory"}


# helper
async def queue_depth() -> int:
    return 3


# helper
async def check_quota(tenant: str) -> None:
    if tenant == "greedy":
        raise ServiceError("quota")


# helper
async def upload(blob: bytes) -> int:
    return len(blob)


# helper
async def post_metric(name: str, value: float) -> None:
    log.debug("%s=%s", name, value)


# helper
async def save_doc(doc: dict[str, Any]) -> bool:
    return bool(doc)


# helper
async def touch_doc(doc: dict[str, Any]) -> bool:
    return bool(doc)


# helper
async def shutdown(reason: str = "exit") -> None:
    log.info("bye: %s", reason)


# helper
def validate_order(order: dict[str, Any]) -> None:
    if order["total"] <= 0:
        raise ValueError("total")


# helper
class Mailer:
    async def send(self, to: str, subject: str) -> bool:
        return "@" in to

    def address_of(self, user: User) -> str:
        return user.email


# helper
class Sink:
    def flush(self) -> int:
        return 0


# helper
class RemoteSink(Sink):
    async def flush(self) -> int:  # type: ignore[override]
        return 1


# helper
class LocalSink(RemoteSink):
    def flush(self) -> int:  # type: ignore[override]
        return 2


# helper
class Connection:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    @classmethod
    async def open(cls, dsn: str) -> Connection:
        return cls(dsn)

    async def execute(self, sql: str) -> list[str]:
        if "boom" in sql:
            raise ServiceError(sql)
        return [sql]

    async def close(self) -> None:
        self.dsn = ""


# ---------------------------------------------------------------- bad, trivial


# bad: call statement without await
async def welcome_new_user(mailer: Mailer, user: User) -> None:
    address = mailer.address_of(user)
    mailer.send(address, "Welcome!")  # dropped
    log.info("welcomed %s", user.name)


# bad: await forgotten in an `if` test
async def guard_request(ip: str) -> int:
    if is_banned(ip):  # dropped
        return 403
    return 200


# bad: await forgotten in a comparison
async def can_delete(user_id: int, owner_id: int) -> bool:
    if user_id == owner_id:
        return True
    return fetch_role(user_id) == "admin"  # dropped


# bad: membership test on a coroutine
async def reject_blocked(login: str) -> None:
    if login in load_blocklist():  # dropped
        raise PermissionError(login)
    log.info("%s may pass", login)


# bad: formatted into an f-string
async def greeting(user_id: int) -> str:
    hour = 9
    part = "morning" if hour < 12 else "day"
    return f"Good {part}, {fetch_user(user_id)}!"  # dropped


# bad: given to the logger, which only prints it
async def report_backlog(queue_name: str) -> None:
    log.warning("queue %s holds %s jobs", queue_name, queue_depth())  # dropped
    await asyncio.sleep(0)
    log.debug("reported %s", queue_name)


# bad: bound to a name that is never read
async def preload_profile(user_id: int) -> dict[str, int]:
    profile = fetch_user(user_id)  # dropped
    await asyncio.sleep(0)
    return {"id": user_id}


# bad: the first coroutine is overwritten before anyone awaits it
async def read_with_fallback(key: str) -> bytes:
    page = load_page(key)  # dropped
    if not key.startswith("/"):
        key = "/" + key
    page = load_page(key)
    return await page


# bad: early return between creation and await
async def upload_snapshot(blob: bytes, dry_run: bool) -> int:
    transfer = upload(blob)  # dropped
    if dry_run:
        return 0
    return await transfer


# bad: asyncio.sleep without await
async def wait_for_leader(is_leader: Callable[[], bool]) -> None:
    for _ in range(30):
        if is_leader():
            return
        asyncio.sleep(0.5)  # dropped


# bad: wait_for is itself a coroutine function
async def ping_peer(host: str) -> bool:
    try:
        asyncio.wait_for(probe(host), timeout=1.0)  # dropped
    except (asyncio.TimeoutError, ServiceError):
        return False
    return True


# bad: Queue.put from a sync callback
def on_mqtt_message(inbox: asyncio.Queue[bytes], topic: str, payload: bytes) -> None:
    if topic.startswith("$SYS"):
        return
    inbox.put(payload)  # dropped


# bad: StreamWriter.wait_closed without await
async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.write(b"QUIT\r\n")
    await writer.drain()
    writer.close()
    writer.wait_closed()  # dropped


# bad: trio.sleep without await
async def poll_sensor_trio(read: Callable[[], float]) -> list[float]:
    samples: list[float] = []
    while len(samples) < 3:
        samples.append(read())
        trio.sleep(0.1)  # dropped
    return samples


# bad: send on an anyio stream without await
async def fan_out_anyio(event: str, streams: list[anyio.abc.ObjectSendStream[str]]) -> int:
    sent = 0
    for stream in streams:
        stream.send(event)  # dropped
        sent += 1
    return sent


# bad: cleanup in `finally` is not awaited
async def run_report(dsn: str) -> list[str]:
    conn = await Connection.open(dsn)
    try:
        return await conn.execute("select 1")
    finally:
        conn.close()  # dropped


# bad: `match` on a coroutine, which matches none of the cases but the last
async def badge_for(user_id: int) -> str:
    match fetch_role(user_id):  # dropped
        case "admin":
            return "gold"
        case _:
            return "grey"


# bad: json.dumps cannot encode it and raises
async def health_document(version: str) -> str:
    body = {"version": version, "backlog": queue_depth()}  # dropped
    body["service"] = "billing"
    return json.dumps(body)


# bad: assert on a coroutine, which is true
async def start_replication(host: str, conn: Connection) -> list[str]:
    assert is_healthy(host), f"{host} is down"  # dropped
    await conn.execute("start replica")
    return [host]


# bad: bound to the throw-away name
def on_request_done(route: str, seconds: float) -> None:
    if route == "/healthz":
        return
    _ = post_metric(f"http.{route}", seconds)  # dropped


# bad: Lock.acquire without await looks taken
async def bump_counter(lock: asyncio.Lock, counts: dict[str, int], key: str) -> int:
    if not lock.acquire():  # dropped
        return -1
    counts[key] = counts.get(key, 0) + 1
    return counts[key]


# bad: anyio's Event.wait without await, in a task that should wait
async def consume_when_ready(ready: anyio.Event, jobs: list[str]) -> int:
    done = 0
    ready.wait()  # dropped
    while jobs:
        log.info("job %s", jobs.pop())
        done += 1
    return done


# bad: the test of a conditional expression is a coroutine
async def status_line(host: str, region: str) -> str:
    state = "up" if is_healthy(host) else "down"  # dropped
    where = f"{host}.{region}"
    return f"{where}: {state}"


# ---------------------------------------------------------------- bad, one step


# bad: one of the two eagerly created coroutines is never chosen
async def read_nearest(key: str, prefer_replica: bool) -> bytes:
    key = key.strip("/")
    primary, replica = load_page(key), load_page("replica/" + key)  # dropped
    return await (replica if prefer_replica else primary)


# bad: the table calls every entry, only one is awaited
async def render_as(kind: str, key: str) -> bytes:
    renderers = {
        "html": load_page(key + ".html"),  # dropped
        "json": load_page(key + ".json"),  # dropped
    }
    return await renderers[kind]


# bad: `await a if c else b` awaits only the first arm
async def page_size(key: str, warm: bool) -> int:
    body = await load_page(key) if warm else load_page("cold/" + key)  # dropped
    log.debug("body of %s: %r", key, body)
    return 1 if body else 0


# bad: the left side of `and` is a coroutine and always true
async def may_enter(ip: str, host: str) -> bool:
    allowed = is_banned(ip) and await is_healthy(host)  # dropped
    log.debug("%s allowed: %s", ip, allowed)
    return allowed


# bad: a walrus binds the coroutine instead of its result
async def email_of(user_id: int) -> str | None:
    if (user := fetch_user(user_id)) is not None:  # dropped
        return getattr(user, "email", None)
    return None


# bad: any() over coroutines, which are all true
async def cluster_is_up(hosts: list[str]) -> bool:
    if not hosts:
        return False
    return any(is_healthy(host) for host in hosts)  # dropped


# bad: async predicate given to filter()
async def count_live(hosts: list[str]) -> int:
    known = sorted(set(hosts))
    live = list(filter(is_healthy, known))  # dropped
    log.info("%d of %d alive", len(live), len(known))
    return len(live)


# bad: list of coroutines built for gather, left on the dry-run path
async def notify_all(mailer: Mailer, users: list[User], dry_run: bool) -> int:
    sends = [mailer.send(user.email, "News") for user in users]  # dropped
    if dry_run:
        log.info("would send %d mails", len(sends))
        return 0
    return sum(await asyncio.gather(*sends))


# bad: only the first ten are gathered
async def warm_top_pages(keys: list[str]) -> list[bytes]:
    loads = [load_page(key) for key in keys]  # dropped
    if not loads:
        return []
    return await asyncio.gather(*loads[:10])


# bad: leaves the loop at the first success, the rest stays unawaited
async def first_answer(hosts: list[str]) -> float | None:
    attempts = [probe(host) for host in hosts]  # dropped
    for attempt in attempts:
        with contextlib.suppress(ServiceError):
            return await attempt
    return None


# bad: awaited after the loop, so only the last one
async def compact_shards(conn: Connection, shards: list[str]) -> None:
    job = None
    for shard in shards:
        job = conn.execute(f"vacuum {shard}")  # dropped
    if job is not None:
        await job


# bad: the last, incomplete batch is never gathered
async def import_docs(docs: list[dict[str, Any]], batch: int) -> int:
    saved = 0
    pending: list[Coroutine[Any, Any, bool]] = []
    for doc in docs:
        pending.append(save_doc(doc))  # dropped
        if len(pending) == batch:
            saved += sum(await asyncio.gather(*pending))
            pending = []
    return saved


# bad: `continue` skips the await
async def sync_tenants(tenants: list[str], paused: set[str]) -> int:
    total = 0
    for tenant in tenants:
        copy = upload(tenant.encode())  # dropped
        if tenant in paused:
            continue
        total += await copy
    return total


# bad: the alias of an async method is called without await
async def publish_price(mailer: Mailer, price: float, limit: float) -> None:
    alert = mailer.send
    if price > limit:
        alert("desk@example.org", f"price is {price}")  # dropped


# bad: either alternative is a coroutine function
def autosave(doc: dict[str, Any], dirty: bool) -> None:
    store = save_doc if dirty else touch_doc
    doc["autosaved"] = True
    store(doc)  # dropped


# bad: the lambda returns a coroutine to call_later, which ignores it
def schedule_refresh(loop: asyncio.AbstractEventLoop, key: str) -> None:
    delay = 0.001 if key else 1.0
    log.debug("refresh of %s in %.3f s", key, delay)
    loop.call_later(delay, lambda: load_page(key))  # dropped


# bad: default of dict.get is created even if the key is there
async def cached_page(cache: dict[str, bytes], key: str) -> bytes:
    page = cache.get(key, load_page(key))  # dropped
    if isinstance(page, bytes):
        return page
    return await page


# bad: the handler swallows the error and leaves the coroutine
async def store_for(tenant: str, blob: bytes) -> int:
    transfer = upload(blob)  # dropped
    try:
        await check_quota(tenant)
    except ServiceError:
        return -1
    return await transfer


# bad: validate_order raises between creation and await
async def charge(conn: Connection, order: dict[str, Any]) -> list[str]:
    booking = conn.execute(f"insert {order['id']}")  # dropped
    validate_order(order)
    return await booking


# bad: a partial of a coroutine function is called without await
def record_cpu(samples: list[float]) -> None:
    emit = functools.partial(post_metric, "cpu.load")
    for sample in samples:
        emit(sample)  # dropped


# helper
def mail_admins(mailer: Mailer, text: str) -> Coroutine[Any, Any, bool]:
    return mailer.send("root@example.org", text)


# bad: the plain function returns a coroutine
def on_disk_full(mailer: Mailer, path: str, percent: int) -> None:
    if percent < 95:
        return
    mail_admins(mailer, f"{path} is {percent}% full")  # dropped


# bad: an async classmethod factory used like a constructor
async def table_count(dsn: str) -> int:
    conn = Connection.open(dsn)  # dropped
    rows = await conn.execute("show tables")
    return len(rows)


# bad: pop() takes the surplus off the list and drops it
async def probe_few(hosts: list[str], limit: int) -> list[float]:
    probes = [probe(host) for host in hosts]  # dropped
    while len(probes) > limit:
        probes.pop()
    return await asyncio.gather(*probes)


# ---------------------------------------------------------------- bad, hard


# bad: the first argument is lost if resolve() raises while the second is built
async def compare_hosts(left: str, right: str) -> float:
    a, b = await asyncio.gather(
        probe(left),  # dropped
        probe(await resolve(right)),
    )
    return a - b


# bad: the scope can expire before the await is reached
async def drain_then_say_bye(conn: Connection, drained: anyio.Event) -> None:
    farewell = conn.execute("quit")  # dropped
    with anyio.move_on_after(0.01):
        await drained.wait()
        await farewell
    await conn.close()


# bad: suppress() jumps over the second await
async def announce(conn: Connection, host: str) -> None:
    hello = conn.execute("hello")  # dropped
    with contextlib.suppress(ServiceError):
        address = await resolve(host)
        log.info("at %s", address)
        await hello


# helper
def in_thread(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def wrapper(*args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, fn, *args)

    return wrapper


# helper
@in_thread
def write_audit_row(text: str) -> None:
    log.debug("audit %s", text)


# bad: the decorator turned a plain function into a coroutine function
async def delete_account(user_id: int) -> str:
    user = await fetch_user(user_id)
    write_audit_row(f"deleted {user.name}")  # dropped
    return user.email


# bad: the wrapper calls the coroutine function and forgets its result
def counted(handler: Callable[[str], Coroutine[Any, Any, None]], hits: dict[str, int]) -> Callable[[str], None]:
    # helper
    def wrapper(route: str) -> None:
        hits[route] = hits.get(route, 0) + 1
        handler(route)  # dropped

    return wrapper


# bad: the subclass made the method async
def rotate_logs(sink: RemoteSink, size: int) -> int:
    if size < 1024:
        return 0
    sink.flush()  # dropped
    return size


# helper
class PooledConnection(Connection):
    def __init__(self, dsn: str, pool: list[PooledConnection]) -> None:
        super().__init__(dsn)
        self.pool = pool

    # bad: the inherited coroutine method is not awaited
    async def close(self) -> None:
        if len(self.pool) < 4:
            self.pool.append(self)
            return
        super().close()  # dropped


# helper
class TokenClient:
    def __init__(self, key: str) -> None:
        self.key = key

    @property
    async def token(self) -> str:
        return "t-" + self.key

    async def __call__(self, path: str) -> str:
        return path + "?" + await self.token


# bad: an async property read without await
async def auth_header(client: TokenClient, scheme: str = "Bearer") -> dict[str, bool]:
    secret = client.token  # dropped
    if not secret:
        return {}
    return {"has-auth": bool(secret), "bearer": scheme == "Bearer"}


# bad: the object's __call__ is async
def prefetch(paths: list[str]) -> int:
    call = TokenClient("k1")
    for path in paths:
        call(path)  # dropped
    return len(paths)


# helper
def measured(label: str, work: Coroutine[Any, Any, Any]) -> str:
    return f"{label}: {work.__qualname__}"


# bad: the callee only reads the coroutine's name
async def time_upload(blob: bytes) -> str:
    label = f"upload[{len(blob)}]"
    line = measured(label, upload(blob))  # dropped
    log.info(line)
    return line


# helper
async def run_if(enabled: bool, work: Awaitable[Any]) -> Any:
    if enabled:
        return await work
    return None


# bad: the callee awaits its parameter only if enabled
async def nightly_digest(mailer: Mailer, flags: dict[str, bool]) -> bool:
    recipient = "all@example.org"
    sent = await run_if(flags["digest"], mailer.send(recipient, "Digest"))  # dropped
    return bool(sent)


# bad: the loser of setdefault is thrown away
def join_inflight(inflight: dict[str, Awaitable[bytes]], key: str) -> Awaitable[bytes]:
    key = key.lower()
    log.debug("%d in flight, wants %s", len(inflight), key)
    return inflight.setdefault(key, load_page(key))  # dropped


# bad: default of an inner callback, evaluated at def, never awaited
def install_tick(loop: asyncio.AbstractEventLoop) -> None:
    # helper
    def on_tick(depth: Any = queue_depth()) -> None:  # dropped
        log.info("depth %s", depth)

    loop.call_soon(on_tick)


# helper
@dataclass
class Job:
    name: str
    work: Coroutine[Any, Any, Any]
    tags: list[str] = field(default_factory=list)


# bad: the only holder is a local object that dies here
async def enqueue_export(blob: bytes) -> str:
    job = Job("export", upload(blob))  # dropped
    job.tags.append("nightly")
    await asyncio.sleep(0)
    return job.name


# bad: zip stops at the shorter list
async def fill_slots(hosts: list[str], slots: list[str]) -> dict[str, bool]:
    checks = [is_healthy(host) for host in hosts]  # dropped
    table: dict[str, bool] = {}
    for slot, check in zip(slots, checks):
        table[slot] = await check
    return table


# bad: asyncio.wait refuses coroutines since 3.11
async def race_reads(key: str) -> int:
    done, pending = await asyncio.wait(
        [load_page(key), load_page("mirror/" + key)],  # dropped
        return_when=asyncio.FIRST_COMPLETED,
    )
    return len(done) + len(pending)


# bad: start_soon wants the function, a coroutine is not callable
async def start_heartbeat(conn: Connection) -> None:
    async with anyio.create_task_group() as group:
        log.debug("heartbeat for %s", conn.dsn)
        group.start_soon(conn.execute("ping"))  # dropped


# bad: the thread calls a coroutine function and ignores what it returns
def start_watcher(host: str) -> threading.Thread:
    thread = threading.Thread(target=probe, args=(host,), daemon=True)  # dropped
    thread.start()
    return thread


# bad: to_thread returns the coroutine that probe() makes
async def probe_off_loop(host: str) -> str:
    latency = await asyncio.to_thread(probe, host)  # dropped
    if not latency:
        return "down"
    return "up"


# bad: a done callback may not be async
async def tracked_upload(blob: bytes) -> int:
    # helper
    async def on_done(task: asyncio.Task[int]) -> None:
        log.info("uploaded %d", task.result())

    task = asyncio.create_task(upload(blob))
    task.add_done_callback(on_done)  # dropped
    return await task


# bad: callback() is for plain functions, close() is a coroutine function
async def query_once(dsn: str, sql: str) -> list[str]:
    async with contextlib.AsyncExitStack() as stack:
        conn = await Connection.open(dsn)
        stack.callback(conn.close)  # dropped
        return await conn.execute(sql)


# bad: atexit calls the coroutine function and ignores the result
def install_exit_hook(reason: str) -> Callable[..., Any]:
    log.debug("exit hook for %s", reason)
    reason = reason or "exit"
    return atexit.register(shutdown, reason)  # dropped


# helper
@functools.singledispatch
async def apply_event(event: object) -> None:
    raise TypeError(event)


# helper
@apply_event.register
async def _apply_text(event: str) -> None:
    log.debug("event %s", event)


# bad: all variants of the dispatcher are async
def replay(events: list[str]) -> int:
    applied = 0
    for event in events:
        apply_event(event)  # dropped
        applied += 1
    return applied


# helper
WEBHOOKS: dict[str, Callable[[str], Coroutine[Any, Any, Any]]] = {"push": load_page, "ping": is_healthy}


# bad: every entry of the dispatch table is async
def on_webhook(kind: str, payload: str) -> int:
    if kind not in WEBHOOKS:
        return 404
    WEBHOOKS[kind](payload)  # dropped
    return 202


# helper
def begin_request(conn: Connection, sql: str) -> tuple[int, Coroutine[Any, Any, list[str]]]:
    return len(sql), conn.execute(sql)


# bad: the coroutine is the second half of the result, and discarded
async def reserve_id(conn: Connection) -> int:
    request_id, _ = begin_request(conn, "select nextval")  # dropped
    await asyncio.sleep(0)
    return request_id


# helper
def iter_probes(hosts: list[str]) -> Iterator[Coroutine[Any, Any, float]]:
    for host in hosts:
        yield probe(host)


# bad: the generator makes a coroutine per step, only counted here
async def count_probes(hosts: list[str]) -> int:
    total = 0
    for _ in iter_probes(hosts):  # dropped
        total += 1
    return total


# helper
async def page_loader(key: str) -> Coroutine[Any, Any, bytes]:
    await asyncio.sleep(0)
    return load_page(key)


# bad: the awaited call returns another coroutine
async def page_exists(key: str) -> bool:
    key = key.strip("/")
    body = await page_loader(key)  # dropped
    return body is not None


# helper
class EventBus:
    def __init__(self) -> None:
        self.listeners: list[Callable[[str], Awaitable[None]]] = []
        self.conn = Connection("bus")

    # bad: the listeners are typed as async, the loop calls them plainly
    def emit(self, topic: str) -> None:
        for listener in list(self.listeners):
            listener(topic)  # dropped

    # bad: a finalizer cannot await, close() is a coroutine function
    def __del__(self) -> None:
        if self.conn.dsn:
            self.conn.close()  # dropped


# ---------------------------------------------------------------- good, trivial


# good: awaited
async def welcome_back(mailer: Mailer, user: User) -> None:
    address = mailer.address_of(user)
    await mailer.send(address, "Welcome back!")
    log.info("welcomed %s", user.name)


# good: awaited inside the test
async def guard_socket(ip: str) -> int:
    if await is_banned(ip) or not await is_healthy(ip):
        return 403
    return 200


# good: awaited inside the f-string
async def salutation(user_id: int) -> str:
    role = await fetch_role(user_id)
    if role == "admin":
        role = "administrator"
    return f"Dear {role} {(await fetch_user(user_id)).name}"


# good: returned to the caller
def open_reader(key: str) -> Coroutine[Any, Any, bytes]:
    if not key.startswith("/"):
        key = "/" + key
    return load_page(key)


# good: one name, one await after both branches
async def persist(doc: dict[str, Any], dirty: bool) -> bool:
    if dirty:
        work = save_doc(doc)
    else:
        work = touch_doc(doc)
    return await work


# good: the await covers both arms
async def body_size(key: str, warm: bool) -> int:
    body = await (load_page(key) if warm else load_page("cold/" + key))
    log.debug("body of %s: %r", key, body)
    return len(body)


# good: returns before anything is created
async def upload_checked(blob: bytes, dry_run: bool) -> int:
    if dry_run:
        return 0
    transfer = upload(blob)
    return await transfer


# good: run by asyncio.run
def main_probe(host: str) -> int:
    try:
        asyncio.run(probe(host))
    except ServiceError:
        return 1
    return 0


# good: task kept and awaited
async def upload_in_background(blob: bytes) -> int:
    task = asyncio.create_task(upload(blob))
    await asyncio.sleep(0)
    return await task


# good: every element goes to gather
async def notify_everyone(mailer: Mailer, users: list[User]) -> int:
    sends = [mailer.send(user.email, "News") for user in users]
    results = await asyncio.gather(*sends, return_exceptions=True)
    return results.count(True)


# good: awaited inside the comprehension
async def healthy_only(hosts: list[str]) -> list[str]:
    known = sorted(set(hosts))
    alive = [host for host in known if await is_healthy(host)]
    return alive or ["localhost"]


# good: the name is used twice, each coroutine is awaited before
async def read_twice(key: str) -> tuple[bytes, bytes]:
    page = load_page(key)
    first = await page
    page = load_page("/" + key)
    return first, await page


# good: put_nowait is a plain method
def on_amqp_message(inbox: asyncio.Queue[bytes], payload: bytes) -> None:
    try:
        inbox.put_nowait(payload)
    except asyncio.QueueFull:
        log.warning("inbox full, %d bytes lost", len(payload))


# good: trio gets function and arguments, no coroutine here
async def sample_trio(read: Callable[[float], Awaitable[None]], delays: list[float]) -> int:
    async with trio.open_nursery() as nursery:
        for delay in delays:
            nursery.start_soon(read, delay)
    return len(delays)


# good: awaited in the walrus
async def mail_of(user_id: int) -> str | None:
    if (user := await fetch_user(user_id)).admin:
        return user.email
    return None


# good: TaskGroup owns it
async def read_both(key: str) -> bytes:
    async with asyncio.TaskGroup() as group:
        left = group.create_task(load_page(key))
        right = group.create_task(load_page("mirror/" + key))
    return left.result() + right.result()


# ---------------------------------------------------------------- good, one step


# good: the base class's method is plain, only a subclass made it async
def close_day(size: int) -> int:
    sink = Sink()
    if size > 0:
        sink.flush()
    return size


# good: the subclass made the method sync again
def rotate_local(sink: LocalSink, size: int) -> int:
    if size < 1024:
        return 0
    sink.flush()
    return size


# good: closed on the path that does not need it
async def upload_if_new(blob: bytes, seen: set[bytes]) -> int:
    transfer = upload(blob)
    if blob in seen:
        transfer.close()
        return 0
    return await transfer


# good: closed by the handler
async def store_within_quota(tenant: str, blob: bytes) -> int:
    transfer = upload(blob)
    try:
        await check_quota(tenant)
    except BaseException:
        transfer.close()
        raise
    return await transfer


# helper
async def with_deadline(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    async with asyncio.timeout(seconds):
        return await work


# good: the project function awaits its parameter
async def probe_quickly(host: str) -> float | None:
    try:
        return await with_deadline(1.0, probe(host))
    except (TimeoutError, ServiceError):
        return None


# helper
async def retry(times: int, attempt: Callable[[], Awaitable[Any]]) -> Any:
    for left in reversed(range(times)):
        try:
            return await attempt()
        except ServiceError:
            if not left:
                raise
    raise AssertionError("times < 1")


# good: the callee calls the lambda and awaits what it returns
async def stubborn_probe(host: str) -> float:
    attempts = 1 if host == "localhost" else 3
    latency = await retry(attempts, lambda: probe(host))
    return round(latency, 3)


# good: a partial is given to anyio's spawner, which awaits it
async def probe_anyio(conn: Connection, tables: list[str]) -> None:
    async with anyio.create_task_group() as group:
        for table in tables:
            group.start_soon(functools.partial(conn.execute, f"analyze {table}"))


# good: anyio.run awaits what the partial returns
def cli_query(dsn: str, sql: str) -> list[str]:
    conn = Connection(dsn)
    rows = anyio.run(functools.partial(conn.execute, sql))
    return sorted(rows)


# good: handed to the loop of another thread
def call_from_worker(loop: asyncio.AbstractEventLoop, host: str) -> float:
    handle: ThreadFuture[float] = asyncio.run_coroutine_threadsafe(probe(host), loop)
    latency = handle.result(timeout=5)
    return round(latency, 3)


# good: map() is unpacked into gather
async def load_pages(keys: list[str]) -> dict[str, bytes]:
    keys = sorted(keys)
    pages = await asyncio.gather(*map(load_page, keys))
    return dict(zip(keys, pages))


# good: values of the dict are gathered, keys kept in order
async def latency_table(hosts: list[str]) -> dict[str, float]:
    probes = {host: probe(host) for host in hosts}
    values = await asyncio.gather(*probes.values())
    return dict(zip(probes, values))


# good: the None arm is tested before the await
async def audit_login(conn: Connection, user: User) -> bool:
    entry = conn.execute(f"audit {user.id}") if user.admin else None
    if entry is None:
        return False
    await entry
    return True


# good: an async generator object is no coroutine; leaving it alone costs nothing
async def latest_ticks(symbol: str, limit: int) -> list[int]:
    feed = tick_stream(symbol)
    if limit == 0:
        return []
    return [tick async for tick in feed][:limit]


# helper
async def tick_stream(symbol: str) -> AsyncIterator[int]:
    for tick in range(len(symbol)):
        yield tick


# good: the table holds functions, the chosen one is called and awaited
async def render_kind(kind: str, key: str) -> bytes:
    renderers = {"html": load_page, "json": page_as_json}
    render = renderers.get(kind, load_page)
    return await render(key)


# helper
async def page_as_json(key: str) -> bytes:
    return json.dumps({"key": key}).encode()


# good: appended to the caller's list, which gathers it
def plan_mail(plan: list[Coroutine[Any, Any, bool]], mailer: Mailer, user: User) -> None:
    if not user.email:
        return
    plan.append(mailer.send(user.email, "Planned"))


# good: the lambda starts a task and keeps it
def schedule_kept(loop: asyncio.AbstractEventLoop, key: str, running: set[asyncio.Task[bytes]]) -> None:
    delay = 0.001 if key else 1.0
    log.debug("refresh of %s in %.3f s", key, delay)
    loop.call_later(delay, lambda: running.add(loop.create_task(load_page(key))))


# good: the last, incomplete batch is gathered too
async def import_all(docs: list[dict[str, Any]], batch: int) -> int:
    saved = 0
    pending: list[Coroutine[Any, Any, bool]] = []
    for doc in docs:
        pending.append(save_doc(doc))
        if len(pending) == batch:
            saved += sum(await asyncio.gather(*pending))
            pending = []
    return saved + sum(await asyncio.gather(*pending))


# ---------------------------------------------------------------- good, hard


# helper
def blocking(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return asyncio.run(fn(*args))

    return wrapper


# helper
@blocking
async def reindex(table: str) -> str:
    await asyncio.sleep(0)
    return "idx_" + table


# good: the decorator made the coroutine function a plain one
def nightly_reindex(tables: list[str]) -> int:
    for table in tables:
        reindex(table)
    return len(tables)


# helper
def background(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., asyncio.Task[Any]]:
    alive: set[asyncio.Task[Any]] = set()

    @functools.wraps(fn)
    def wrapper(*args: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(fn(*args))
        alive.add(task)
        task.add_done_callback(alive.discard)
        return task

    return wrapper


# helper
@background
async def touch_last_seen(user_id: int) -> None:
    log.debug("seen %d", user_id)


# good: the decorator schedules and keeps the task
async def handle_ping(user_id: int) -> str:
    touch_last_seen(user_id)
    await asyncio.sleep(0)
    return "pong"


# helper
class Query:
    def __init__(self, table: str, limit: int = 0) -> None:
        self.table, self.count = table, limit

    def limit(self, count: int) -> Query:
        return Query(self.table, count)

    async def _fetch(self) -> list[str]:
        return [self.table] * self.count

    # good: driven through the inner coroutine's iterator
    def __await__(self) -> Iterator[Any]:
        rows = self._fetch()
        return rows.__await__()


# good: a lazy awaitable object that makes its coroutine only when awaited
async def first_rows(table: str, preview: bool) -> list[str]:
    query = Query(table).limit(3)
    if not preview:
        return []
    return await query


# good: the name is rebound to a plain function
def run_offline(blob: bytes) -> int:
    # helper
    def upload(data: bytes) -> int:
        return -len(data)

    upload(blob)
    return len(blob)


# good: a MagicMock stands in for the async method
def simulate_outage(mailer: Mailer) -> int:
    mailer.send = MagicMock(return_value=False)  # type: ignore[method-assign]
    for subject in ("a", "b"):
        mailer.send("ops@example.org", subject)
    return mailer.send.call_count


# good: AsyncMock gives a coroutine, and it is awaited
async def dry_send(users: list[User]) -> int:
    fake = MagicMock(spec=Mailer)
    fake.send = AsyncMock(return_value=True)
    await asyncio.gather(*(fake.send(user.email, "x") for user in users))
    return fake.send.await_count


# helper
class JobQueue:
    def __init__(self) -> None:
        self.jobs: asyncio.Queue[Coroutine[Any, Any, Any]] = asyncio.Queue()
        self.closing: Coroutine[Any, Any, None] | None = None

    # good: the worker takes it from the queue and awaits it
    def submit(self, key: str) -> int:
        self.jobs.put_nowait(load_page(key))
        return self.jobs.qsize()

    # good: awaits what submit() queued
    async def work_off(self) -> list[Any]:
        results: list[Any] = []
        while not self.jobs.empty():
            job = self.jobs.get_nowait()
            results.append(await job)
        return results

    # good: kept on self, finish() awaits it
    def begin_close(self) -> None:
        if self.closing is None:
            self.closing = shutdown("queue closed")

    async def finish(self) -> None:
        if self.closing is not None:
            await self.closing


# good: the first success ends the loop, the others are closed
async def first_answer_tidy(hosts: list[str]) -> float | None:
    attempts = [probe(host) for host in hosts]
    try:
        for attempt in attempts:
            with contextlib.suppress(ServiceError):
                return await attempt
        return None
    finally:
        for attempt in attempts:
            attempt.close()


# good: the stack closes it on every path, which does nothing once it has run
async def hello_guarded(conn: Connection, host: str) -> list[str]:
    with contextlib.ExitStack() as stack:
        hello = conn.execute("hello")
        stack.callback(hello.close)
        address = await resolve(host)
        return [address, *await hello]


# helper
async def run_or_close(enabled: bool, work: Coroutine[Any, Any, Any]) -> Any:
    if not enabled:
        work.close()
        return None
    return await work


# good: the callee awaits its parameter or closes it
async def weekly_digest(mailer: Mailer, flags: dict[str, bool]) -> bool:
    recipient = "all@example.org"
    sent = await run_or_close(flags["digest"], mailer.send(recipient, "Digest"))
    return bool(sent)


# good: push_async_callback awaits what close() returns
async def query_tidy(dsn: str, sql: str) -> list[str]:
    async with contextlib.AsyncExitStack() as stack:
        conn = await Connection.open(dsn)
        stack.push_async_callback(conn.close)
        return await conn.execute(sql)


# good: the thread's target is asyncio.run, which gets the coroutine
def start_watcher_loop(key: str) -> threading.Thread:
    thread = threading.Thread(target=asyncio.run, args=(load_page(key),))
    thread.start()
    return thread


# good: context.run calls create_task with it, the task is awaited
async def upload_as(tenant: str, blob: bytes) -> int:
    context = contextvars.copy_context()
    context.run(TENANT.set, tenant)
    task = context.run(asyncio.create_task, upload(blob))
    return await task


# helper
TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("TENANT", default="-")


# good: a plain or async callback: the result is awaited if it can be
async def call_hook(hook: Callable[[str], Any], topic: str) -> Any:
    result = hook(topic)
    if inspect.isawaitable(result):
        result = await result
    return result


# good: the generator hands out coroutines, each is awaited before the next is made
async def probe_in_turn(hosts: list[str]) -> list[float]:
    found: list[float] = []
    for attempt in iter_probes(hosts):
        found.append(await attempt)
    return found


# good: the awaited call returns a coroutine, and that is awaited too
async def page_text(key: str) -> str:
    key = key.strip("/")
    body = await (await page_loader(key))
    return body.decode()


# helper
def submit_write(loop: asyncio.AbstractEventLoop, text: str) -> asyncio.Future[str]:
    done: asyncio.Future[str] = loop.create_future()
    loop.call_soon(done.set_result, text)
    return done


# good: the callee returns a future, which needs no await to run
def on_keypress(loop: asyncio.AbstractEventLoop, key: str) -> None:
    if not key.isprintable():
        return
    submit_write(loop, key)


# good: driven by hand to its end
def run_without_loop(key: str) -> bytes:
    reader = load_page(key)
    try:
        reader.send(None)
    except StopIteration as stop:
        return stop.value
    reader.close()
    raise RuntimeError("load_page suspended")


# helper
@contextlib.asynccontextmanager
async def leased(dsn: str) -> AsyncIterator[Connection]:
    conn = await Connection.open(dsn)
    try:
        yield conn
    finally:
        await conn.close()


# good: the call makes a context manager, no coroutine
async def run_leased(dsn: str, sql: str) -> list[str]:
    lease = leased(dsn)
    if not sql:
        return []
    async with lease as conn:
        return await conn.execute(sql)


# good: from_thread.run gets the function and awaits it on the loop
def in_worker_thread(keys: list[str]) -> int:
    total = 0
    for key in keys:
        total += len(anyio.from_thread.run(load_page, key))
    return total


# helper
class Alerts:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    async def raise_for(self, team: str, text: str) -> bool:
        return await self.mailer.send(team + "@example.org", text)

    raise_for_ops = functools.partialmethod(raise_for, "ops")

    # good: the partialmethod's coroutine is awaited
    async def disk_full(self, path: str) -> bool:
        text = f"{path} is full"
        return await self.raise_for_ops(text)


# good: the surplus is closed as it is taken off
async def probe_some(hosts: list[str], limit: int) -> list[float]:
    probes = [probe(host) for host in hosts]
    while len(probes) > limit:
        probes.pop().close()
    return await asyncio.gather(*probes)


# good: as_completed makes tasks of all of them, all are awaited
async def fastest_first(keys: list[str]) -> list[bytes]:
    pages: list[bytes] = []
    for step in asyncio.as_completed([load_page(key) for key in keys]):
        pages.append(await step)
    return pages
