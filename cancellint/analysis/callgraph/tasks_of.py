"""In which tasks a function runs, and whether two functions can run at the same time."""

from collections.abc import Iterator

from cancellint.analysis.callgraph.function_uses import FunctionUses, Use
from cancellint.analysis.effects.effects import Effects
from cancellint.analysis.engine.limits import Limit
from cancellint.model.ir import Call
from cancellint.model.knowledge import Role
from cancellint.model.types import CallSite, FunctionKey

_DEEPEST = Limit(8, "calls on the way to the task that a function runs in")


class TasksOf:
    """Follows a function to whoever awaits it."""

    def __init__(self, effects: Effects, uses: FunctionUses) -> None:
        self._effects = effects
        self._uses = uses
        self._found: dict[FunctionKey, frozenset[FunctionKey] | None] = {}
        self._entries: dict[FunctionKey, frozenset[FunctionKey]] = {}

    def may_overlap(self, one: FunctionKey, other: FunctionKey) -> bool:
        """Tell whether two functions may run at once: not if both run in the program's only task."""
        roots = [self._main_tasks(each) for each in (one, other)]
        if None in roots:
            return True
        return len(frozenset(each for found in roots for each in found or ())) > 1

    def may_meet_itself(self, key: FunctionKey) -> bool:
        """Tell whether two runs of a function may overlap in one event loop."""
        return self._main_tasks(key) is None

    def may_interrupt(self, one: FunctionKey, other: FunctionKey) -> bool:
        """Tell whether another task, or a callback, may come to one function while `other` waits."""
        return len(self.entries(one) | self.entries(other)) > 1

    def entries(self, key: FunctionKey) -> frozenset[FunctionKey]:
        """Return the functions by which tasks, callbacks and users come to a function, itself perhaps."""
        if key not in self._entries:
            self._entries[key] = frozenset(self._find_entries(key))
        return self._entries[key]

    def comes_only_by(self, key: FunctionKey, way: FunctionKey) -> bool:
        """Tell whether all that comes to a function comes there by another one."""
        return not any(True for _ in self._find_entries(key, way))

    def _find_entries(self, key: FunctionKey, past: FunctionKey | None = None) -> Iterator[FunctionKey]:
        """Yield the entries of a function, but those that come to it by `past`."""
        seen = {key} if past is None else {key, past}
        waiting = [(key, 0)]
        while waiting:
            current, depth = waiting.pop()
            references = self._uses.of(current)
            if not references or _DEEPEST.is_exceeded_by(depth):
                yield current
                continue
            for each in references:
                own = each.use is Use.CALLED and not self._is_awaited_here(current, each.site)
                if each.use is Use.GIVEN or own:
                    yield current
                elif each.site.function not in seen:
                    seen.add(each.site.function)
                    waiting.append((each.site.function, depth + 1))

    def _main_tasks(self, key: FunctionKey) -> frozenset[FunctionKey] | None:
        """Return the coroutines that a program is run by and that come to a function, None if others do."""
        if key not in self._found:
            self._found[key] = self._search(key)
        return self._found[key]

    def _search(self, key: FunctionKey) -> frozenset[FunctionKey] | None:
        seen = {key}
        waiting = [(key, 0)]
        roots: set[FunctionKey] = set()
        while waiting:
            current, depth = waiting.pop()
            references = self._uses.of(current)
            if not references or _DEEPEST.is_exceeded_by(depth):
                return None
            for each in references:
                if each.use is Use.GIVEN:
                    return None
                site = each.site
                if each.use is Use.CALLED and self._is_run(site):
                    roots.add(current)
                    continue
                if each.use is Use.CALLED and not self._is_awaited_here(current, site):
                    return None
                if site.function not in seen:
                    seen.add(site.function)
                    waiting.append((site.function, depth + 1))
        return frozenset(roots)

    def _is_awaited_here(self, key: FunctionKey, site: CallSite) -> bool:
        """Tell whether a call is waited for in its own task."""
        if not self._effects.program.function(key).is_async:
            return True
        at = self._uses.waiting_for(site)
        return at >= 0 and not any(
            each.task and each.site == site for each in self._effects.awaited(site.function, at)
        )

    def _is_run(self, site: CallSite) -> bool:
        """Tell whether a coroutine is made by a plain function that runs an event loop until it is done."""
        function = self._effects.program.function(site.function)
        return not function.is_async and any(self._runs_loop(at) for at, _ in self._calls(site))

    def _calls(self, site: CallSite) -> Iterator[tuple[CallSite, Call]]:
        for number, step in enumerate(self._effects.program.function(site.function).steps):
            if isinstance(step, Call):
                yield CallSite(site.function, number), step

    def _runs_loop(self, at: CallSite) -> bool:
        callees = self._effects.types.callees(at.function, at.step)
        return any(
            known is not None and {Role.SPAWNS, Role.BLOCKS} <= set(known.entry.roles)
            for known in map(self._effects.operations.known, callees)
        )
