"""Which functions users of a library can call themselves, and which only the program does."""

from collections.abc import Iterator
from functools import cached_property

from cancellint.analysis.program.expressions import decorating
from cancellint.analysis.program.names import External
from cancellint.analysis.program.program import Program
from cancellint.model.ir import Assign, Call, Expr, Return, Temp
from cancellint.model.types import ClassObject, FunctionKey, ProjectFunction

_TESTS = frozenset({"test", "tests", "conftest"})
"""Names of modules and packages that hold tests."""


class Exposure:
    """Answers by names, exports and decorators."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def is_nameable(self, key: FunctionKey) -> bool:
        """Tell whether a function has a name that its users may write, by the underscores of Python."""
        function = self._program.function(key)
        if function.kind != "function":
            return False
        named = self._outermost(key)
        if self._program.class_of(named) in self._handed_out:
            return _is_public(self._program.function(named).name)
        return all(_is_public(part) for part in self._program.function(named).qualname.split("."))

    def is_internal(self, module: str) -> bool:
        """Tell whether a module is not meant for users: by an underscore, or because it holds tests."""
        parts = module.split(".")
        return any(not _is_public(part) or part in _TESTS or part.startswith("test_") for part in parts)

    def is_exported(self, key: FunctionKey) -> bool:
        """Tell whether a package imports a function, or a class that has or declares it, to offer it."""
        cls = self._program.class_of(key)
        if cls is None:
            return key in self._exported_functions
        if cls in self._exported_classes or cls in self._handed_out:
            return True
        name = self._program.function(key).name
        return any(
            base in self._exported_classes and bool(self._program.methods(base, name))
            for base in self._program.bases(cls)
        )

    def is_of_an_application(self, module: str) -> bool:
        """Tell whether a module belongs to a package that is there to be run, and offers nothing by name."""
        package = module.partition(".")[0]
        return f"{package}.__main__" in self._modules and package not in self._declaring

    def declares_api(self, module: str) -> bool:
        """Tell whether the package of a module says what it offers, by importing it under a public name."""
        return module.partition(".")[0] in self._declaring

    def is_registered(self, key: FunctionKey) -> bool:
        """Tell whether a decorator of somebody else's object hands a function over to be called."""
        scope, decorators = self._program.around(key), self._program.function(key).decorators
        return any(self._registers(scope, decorator) for decorator in decorators)

    def _registers(self, scope: FunctionKey, decorator: Expr) -> bool:
        """Tell whether a decorator is called on an object: `@app.get("/")`, and no function of a module."""
        named = decorating(decorator)
        found = self._program.denotes(scope, named)
        return named is not decorator and not any(
            isinstance(each, External | ProjectFunction | ClassObject) for each in found
        )

    def _outermost(self, key: FunctionKey) -> FunctionKey:
        """Return the method or function of a module that a function is written in: that hands it out."""
        parent = self._program.around(key)
        return self._outermost(parent) if self._program.function(parent).kind == "function" else key

    @cached_property
    def _exporting(self) -> dict[str, tuple[ClassObject | ProjectFunction, ...]]:
        """What packages bind in their own module under a public name, wherever it was made, by package."""
        packages = (module for module in self._program.modules() if module in self._program.packages)
        found = {package: tuple(self._offered(package)) for package in packages}
        return {package: offered for package, offered in found.items() if offered}

    @cached_property
    def _declaring(self) -> frozenset[str]:
        """The outermost packages in which any package offers something."""
        return frozenset(package.partition(".")[0] for package in self._exporting)

    def _offered(self, package: str) -> Iterator[ClassObject | ProjectFunction]:
        bindings = self._program.scopes(package).bindings(0)
        names = [name for name in bindings.locals if not name.startswith("_")]
        names += [name for star in bindings.stars for name in self._star(package, star.module, star.level)]
        for name in names:
            for each in self._program.resolve(package, name):
                if isinstance(each, ClassObject | ProjectFunction):
                    yield each

    @cached_property
    def _exported(self) -> tuple[ClassObject | ProjectFunction, ...]:
        """The same of all packages, each once."""
        return tuple(dict.fromkeys(each for offered in self._exporting.values() for each in offered))

    def _star(self, module: str, imported: str, level: int) -> tuple[str, ...]:
        source = self._program.absolute(module, imported, level)
        if source not in self._modules:
            return ()
        return tuple(
            name for name in self._program.scopes(source).bindings(0).locals if not name.startswith("_")
        )

    @cached_property
    def _modules(self) -> frozenset[str]:
        return frozenset(self._program.modules())

    @cached_property
    def _exported_functions(self) -> frozenset[FunctionKey]:
        return frozenset(each.key for each in self._exported if isinstance(each, ProjectFunction))

    @cached_property
    def _exported_classes(self) -> frozenset[str]:
        """Exported classes with all they inherit from: a method of a base is one of theirs."""
        names = [each.cls for each in self._exported if isinstance(each, ClassObject)]
        return frozenset(base for name in names for base in (name, *self._program.bases(name)))

    @cached_property
    def _handed_out(self) -> frozenset[str]:
        """The classes of what exported ones return, whatever their names, with their bases."""
        found: dict[str, None] = {}
        for key in self._program.functions():
            if not _is_public(self._program.function(key).name):
                continue
            if self._program.class_of(key) in self._exported_classes or key in self._exported_functions:
                for each in self._returned(key):
                    if isinstance(each, ClassObject):
                        found[each.cls] = None
        return frozenset(base for name in found for base in (name, *self._program.bases(name)))

    def _returned(self, key: FunctionKey) -> Iterator[object]:
        """Yield what a function says that it returns, or else the classes of which it returns new objects."""
        function = self._program.function(key)
        if function.returns is not None:
            yield from self._program.denotes(self._program.around(key), function.returns)
            return
        made = {step.target: step.value for step in function.steps if isinstance(step, Assign)}
        for step in function.steps:
            value = made.get(step.value, step.value) if isinstance(step, Return) else None
            call = function.steps[value.step] if isinstance(value, Temp) else None
            if isinstance(call, Call):
                yield from self._program.denotes(key, call.func)


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))
