"""Results as a table and as JSON."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("livesketch", "numpy", "numba", "torch", "triton", "onnxruntime")


@dataclass(slots=True)
class Series:
    """One row: what was measured, all its values in the result's unit."""

    name: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(slots=True)
class Result:
    """What a suite measured."""

    suite: str
    unit: str
    facts: dict[str, Any]
    """What was measured: model, sizes, counts."""
    series: list[Series]
    compare_with: str | None = None
    """The row that the ratio column divides by."""
    limit: str | None = None
    """The row that says what cannot be beaten; another such column."""
    derived: dict[str, Callable[[Series], float]] = field(default_factory=dict)
    """Further columns, from a row."""
    absent: dict[str, str] = field(default_factory=dict)
    """What was not measured, and why."""
    errors: dict[str, float] = field(default_factory=dict)
    """Largest difference from the backend ``reference`` in a parameter of the density, by row."""


def show(result: Result) -> None:
    """The table, on stdout."""
    print(f"{result.suite}: {', '.join(f'{key} {value}' for key, value in result.facts.items())}")
    medians = {row.name: row.median for row in result.series}
    compared = {"ratio": result.compare_with, "x limit": result.limit}
    bases = {title: medians[name] for title, name in compared.items() if name in medians}
    width = max(map(len, [*medians, *result.absent]))
    columns = ["median", "least", "most", *bases, *result.derived, *(["error"] if result.errors else [])]
    if result.series:
        print(f"  {result.unit:>{width}}  {' '.join(f'{column:>9}' for column in columns)}")
    for row in result.series:
        numbers = [f"{value:9.3f}" for value in (row.median, min(row.values), max(row.values))]
        numbers += [f"{row.median / base:9.2f}" for base in bases.values()]
        numbers += [f"{column(row):9.1f}" for column in result.derived.values()]
        numbers += [f"{result.errors[row.name]:9.1e}"] if row.name in result.errors else []
        print(f"  {row.name:{width}}  {' '.join(numbers)}")
    for name, why in result.absent.items():
        print(f"  {name:{width}}  not measured: {why}")


def write(result: Result, folder: Path) -> str:
    """Writes ``<suite>-<date>.json`` and returns its name."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    record = {
        "suite": result.suite,
        "when": now.isoformat(timespec="seconds"),
        "unit": result.unit,
        "facts": result.facts,
        "machine": machine(),
        "series": {row.name: [round(value, 4) for value in row.values] for row in result.series},
        "absent": result.absent,
        "errors": {name: float(f"{error:.3g}") for name, error in result.errors.items()},
    }
    path = folder / f"{result.suite}-{now:%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path.name


def machine() -> dict[str, Any]:
    """Facts that explain the numbers; no names and no paths of this machine."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": commit(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
    }


def cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()
