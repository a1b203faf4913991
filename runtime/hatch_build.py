"""Takes the modules from the linter's package beside it; a source distribution has them already."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = ("markers.py", "testing.py")


class Modules(BuildHookInterface):
    """Adds the modules that both distributions have, so that each is written once."""

    def initialize(self, version: str, build_data: dict[str, dict[str, str]]) -> None:
        linter = Path(self.root).parent / "cancellint"
        for name in MODULES if linter.is_dir() else ():
            build_data["force_include"][str(linter / name)] = f"cancellint_runtime/{name}"
