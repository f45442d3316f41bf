"""Runs the suites named, or all: prints a table for each and writes JSON with the machine's facts."""

import argparse
import os
import sys
from pathlib import Path

# One thread for everyone; the libraries read this when they are first imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

from . import (  # noqa: E402 - after the variables above
    bulk,
    cuda,
    drift,
    growth,
    jitter,
    models,
    pauses,
    report,
    startup,
    step,
    text,
    training,
    voices,
)  # fmt: skip

MODELS = dict.fromkeys(("step", "pauses", "voices", "growth"), models.OFFICIAL)
"""What a suite measures where no model is named; the others take the bundled cat."""

SUITES = {
    "step": step.suite,
    "pauses": pauses.suite,
    "voices": voices.suite,
    "growth": growth.suite,
    "text": text.suite,
    "import": startup.import_suite,
    "first-action": startup.first_action_suite,
    "training": training.suite,
    "jitter": jitter.suite,
    "drift": drift.suite,
    "bulk": bulk.suite,
    "cuda": cuda.suite,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"any of: {', '.join(SUITES)} (all where none is named)")
    parser.add_argument(
        "--model",
        help=f"bundled name, file, or {models.OFFICIAL}, which is of the size of Google's official decoders (default: "
        f"{models.OFFICIAL} for {', '.join(MODELS)}; cat for the others)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=15,
        help="rounds of the suites that have them; each measures every engine once",
    )
    parser.add_argument("--steps", type=int, default=300, help="steps of one measurement of these, but for `training`")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for the JSON files")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.suite if name not in SUITES]
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps are at least 1")
    for name in options.suite or SUITES:
        model = options.model or MODELS.get(name, "cat")
        result = SUITES[name](model=model, rounds=options.rounds, steps=options.steps)
        report.show(result)
        print(f"written: {report.write(result, options.out)}\n" if result.series else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
