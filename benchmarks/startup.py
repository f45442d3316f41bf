"""Suites `import` and `first-action`: what a performer waits for, each time in a fresh process."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .report import Result, Series

TIMES = 7
ROOT = Path(__file__).resolve().parent.parent

IMPORT = """
import sys, time
start = time.perf_counter(); import numpy
middle = time.perf_counter(); import livesketch
print(middle - start, time.perf_counter() - middle, 'torch' in sys.modules)
"""

FIRST_ACTION = """
import sys, livesketch
next(livesketch.sketch(sys.argv[1], seed=1))
sys.stdout.write('.'); sys.stdout.flush()
"""


def import_suite(*, model: str, rounds: int, steps: int) -> Result:  # noqa: ARG001 - every suite takes the same options
    numpy_alone, added = [], []
    for _ in range(TIMES):
        words = python(IMPORT).split()
        if words[2] != "False":
            raise RuntimeError("import livesketch loaded torch")
        numpy_alone.append(float(words[0]))
        added.append(float(words[1]))
    return Result(
        suite="import",
        unit="s",
        facts={"times": TIMES, "goal for livesketch": "under 0.15"},
        series=[Series("import numpy", numpy_alone), Series("import livesketch after it", added)],
    )


def first_action_suite(*, model: str, rounds: int, steps: int) -> Result:  # noqa: ARG001 - as above
    python(FIRST_ACTION, model)  # fills numba's cache on disk
    warm = [first_action(model, {}) for _ in range(TIMES)]
    cold = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as empty:
            cold.append(first_action(model, {"NUMBA_CACHE_DIR": empty}))
    return Result(
        suite="first-action",
        unit="s",
        facts={"model": Path(model).name, "times": TIMES, "goal": "under 1.5"},
        series=[
            Series("process start to first pen action", warm),
            Series("the same, kernels not compiled yet", cold),
        ],
    )


def first_action(model: str, variables: dict[str, str]) -> float:
    """Seconds from starting Python to its first pen action."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", FIRST_ACTION, model], stdout=subprocess.PIPE, env=environment(variables)
    ) as process:
        assert process.stdout is not None
        mark = process.stdout.read(1)
        seconds = time.perf_counter() - start
    if process.returncode or mark != b".":
        raise RuntimeError(f"the process that draws {model!r} ended with {process.returncode}")
    return seconds


def python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, env=environment({}), text=True, check=True
    )
    return done.stdout


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This one's, with the clone first, so that it is measured and not another installed version."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}
