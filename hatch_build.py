"""Compiles the library tables when a wheel is built or the checkout is installed."""

import sys

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledTables(BuildHookInterface):
    """Writes the compiled tables beside those they are made of, from where the wheel takes them along."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        sys.path.insert(0, self.root)
        from cancellint.analysis.library.knowledge import compile_tables

        compile_tables()
