"""How the author of a function writes what an access path means."""

from cancellint.analysis.effects.effects import Effects
from cancellint.model.ir import Assign, Await, Call, Name, Temp
from cancellint.model.summary import Path
from cancellint.model.types import FunctionKey, LibraryCallee, ProjectCallee


def written(effects: Effects, key: FunctionKey, path: Path) -> str:
    """Return a path of a function's own terms as its author would write it; parts of a tuple have no name."""
    fields = (field for field in path.fields if not field.startswith("#"))
    return _root(effects, key, path) + "".join(
        field if field.startswith("[") else f".{field}" for field in fields
    )


def _root(effects: Effects, key: FunctionKey, path: Path) -> str:
    kind, _, name = path.root.partition(":")
    match kind:
        case "param" | "raced" | "called":
            return effects.program.function(key).params[int(name)].name
        case "free":
            return name.rpartition(":")[2]
        case "global":
            return name.removeprefix(f"{key.module}.")
        case "temp":
            return _outcome(effects, key, int(name))
        case _:
            return name


def _outcome(effects: Effects, key: FunctionKey, step: int) -> str:
    """Name what a step gives: the variable it is put into, or else the call that makes it."""
    steps = effects.program.function(key).steps
    for node in steps:
        match node:
            case Assign(target=Name(id=name), value=Temp(step=made)) if made == step:
                return name
            case _:
                pass
    node = steps[step]
    if isinstance(node, Await) and isinstance(node.value, Temp):
        step = node.value.step
    if isinstance(steps[step], Call):
        for callee in effects.types.callees(key, step):
            match callee:
                case LibraryCallee(name=name):
                    return f"{name}()"
                case ProjectCallee(key=called):
                    return f"{effects.program.function(called).qualname}()"
                case _:
                    pass
    return "it"
