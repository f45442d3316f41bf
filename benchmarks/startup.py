"""Suites `import` and `first-action`: what a performer waits for, each time in a fresh process."""

import importlib.util
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


FIRST_TOKEN = FIRST_ACTION.replace("sketch(", "text(")
TEXT = "wuyan"


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
    what = {"pen action": (FIRST_ACTION, model), f"token of {TEXT}": (FIRST_TOKEN, TEXT)}
    series = []
    for name, (program, own) in what.items():
        python(program, own)  # fills numba's cache on disk
        series.append(Series(f"process start to first {name}", [first(program, own, {}) for _ in range(TIMES)]))
        cold = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as empty:
                cold.append(first(program, own, {"NUMBA_CACHE_DIR": empty}))
        series.append(Series(f"to first {name}, kernels not compiled yet", cold))
    facts = {
        "model": Path(model).name,
        "times": TIMES,
        "scipy installed": importlib.util.find_spec("scipy") is not None,
    }
    return Result(
        suite="first-action",
        unit="s",
        facts={**facts, "goals": "a pen action under 1.0, and under 2.0 where nothing is compiled"},
        series=series,
    )


def first(program: str, model: str, variables: dict[str, str]) -> float:
    """Seconds from starting Python to the first step."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program, model], stdout=subprocess.PIPE, env=environment(variables)
    ) as process:
        assert process.stdout is not None
        mark = process.stdout.read(1)
        seconds = time.perf_counter() - start
    if process.returncode or mark != b".":
        raise RuntimeError(f"the process with {model!r} ended with {process.returncode}")
    return seconds


def python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, env=environment({}), text=True, check=True
    )
    return done.stdout


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This one's, with the clone first, so that it is measured and not another installed version."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}
