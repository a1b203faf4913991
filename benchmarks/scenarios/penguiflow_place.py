"""penguiflow: a task of a session is cancelled, and another one needs its place."""

import asyncio

from penguiflow.sessions import (
    InMemorySessionStateStore,
    SessionLimits,
    StreamingSession,
    TaskRuntime,
    TaskState,
    TaskStatus,
)
from penguiflow.steering import SteeringEvent, SteeringEventType

from cancellint.testing import Injection


class Store(InMemorySessionStateStore):
    """As a database that needs a moment to write down that a task is running."""

    async def save_task(self, state: TaskState) -> None:
        await asyncio.sleep(0.2 if state.status == TaskStatus.RUNNING else 0)
        await super().save_task(state)


async def work(runtime: TaskRuntime) -> str:
    await asyncio.sleep(1)
    return "done"


async def scenario(injection: Injection) -> object:
    session = StreamingSession("chat", state_store=Store(), limits=SessionLimits(max_concurrent_tasks=1))
    task = await session.spawn_task(work)

    async def change_ones_mind() -> None:
        """Cancels the task when the user is cancelled, at the latest when it is done."""
        try:
            for _ in range(15):
                await asyncio.sleep(0.1)
        finally:
            cancel = SteeringEvent(
                session_id="chat", task_id=task, event_type=SteeringEventType.CANCEL, source="user"
            )
            await session.steer(cancel)

    await injection.attempt(change_ones_mind)
    result = await session.run_task(work)
    return result.payload
