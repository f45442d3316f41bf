"""Checked access to metadata that comes out of files."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from ..errors import CheckpointError


def parse_json(text: str | bytes) -> Any:
    """A JSON value; NaN and Infinity, which JSON does not have, and numbers beyond float64 are refused.

    Raises:
        ValueError: not UTF-8, not JSON, or nested too deep.
    """
    try:
        return json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text, parse_constant=_refused, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None


def _refused(number: str) -> float:
    raise ValueError(f"JSON with {number[:40]}, which is no number that can be used")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refused(number)


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object whose fields are checked when they are taken; all methods raise ``CheckpointError``."""

    values: Mapping[str, Any]
    where: str
    """Of which file, for messages."""

    def refuse(self, key: str, expected: str) -> CheckpointError:
        """The error for a field that is missing or not as expected."""
        came = repr(self.values[key])[:80] if key in self.values else "missing"
        return CheckpointError(f"{self.where}: {key!r} is {came}; expected {expected}; make the file again")

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(key, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, least: float, most: float) -> float:
        """A finite number above ``least`` and up to ``most``."""
        value = self.values.get(key)
        if not is_number(value) or not least < value <= most:
            raise self.refuse(key, f"a finite number above {least:g}, up to {most:g}")
        return float(value)

    def text(self, key: str) -> str:
        """A text, which may be empty."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.refuse(key, "a text")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false")
        return value

    def name(self, key: str) -> str:
        """A printable text of 1 to 200 characters, not blank."""
        value = self.text(key)
        if not is_name(value):
            raise self.refuse(key, "a printable name of 1 to 200 characters")
        return value

    def names(self, key: str, most: int) -> tuple[str, ...]:
        """A list of different names."""
        value = self.values.get(key)
        if not isinstance(value, list | tuple) or len(value) > most or not all(map(is_name, value)):
            raise self.refuse(key, f"a list of at most {most} names")
        if len(set(value)) != len(value):
            raise self.refuse(key, "names that differ")
        return tuple(value)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """A list of ``count`` finite numbers."""
        value = self.values.get(key)
        if not isinstance(value, list | tuple) or len(value) != count or not all(map(is_number, value)):
            raise self.refuse(key, f"a list of {count} finite numbers")
        return tuple(map(float, value))

    def table(self, key: str) -> dict[str, Any]:
        """A JSON object."""
        value = self.values.get(key)
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise self.refuse(key, "an object")
        return dict(value)

    def numbers_by_name(self, key: str) -> dict[str, float]:
        """A JSON object of finite numbers."""
        value = self.table(key)
        if not all(map(is_number, value.values())):
            raise self.refuse(key, "an object of finite numbers")
        return {name: float(number) for name, number in value.items()}


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite number that a float holds, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**1000


def is_name(value: object) -> bool:
    """Whether it is a printable text of 1 to 200 characters, not blank."""
    return isinstance(value, str) and 1 <= len(value) <= 200 and value.isprintable() and not value.isspace()
