"""One finished run of a scenario."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from cancellint.testing.injection import Injection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """What the scenario returned or raised, and what did not hold afterwards."""

    injection: Injection
    result: tuple[T] | BaseException
    problems: tuple[str, ...] = ()

    def value(self) -> T:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result[0]
