"""Takes the modules from the linter's package beside it; a source distribution has them already."""

import re
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TAKEN = ("markers.py", "testing/*.py")
_OWN = re.compile(r"(?m)^(\s*(?:from|import) )cancellint(?=\.(?:markers|testing)\b)")


class Modules(BuildHookInterface):
    """Adds the modules that both distributions have, so that each is written once."""

    def initialize(self, version: str, build_data: dict[str, dict[str, str]]) -> None:
        linter = Path(self.root).parent / "cancellint"
        for file in (file for pattern in TAKEN for file in sorted(linter.glob(pattern))):
            name = f"cancellint_runtime/{file.relative_to(linter).as_posix()}"
            copy = Path(self.root) / "build" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(_OWN.sub(r"\1cancellint_runtime", file.read_text("utf-8")), encoding="utf-8")
            build_data["force_include"][str(copy)] = name
