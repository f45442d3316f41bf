"""The cuda backend's kernels in Triton without a GPU: under its interpreter they equal the reference, and they compile.

Both run in a process of their own, since Triton reads ``TRITON_INTERPRET`` when it is imported.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def run(peer_module, job, interpret):
    peer_module("triton")
    environment = {**os.environ, "TRITON_INTERPRET": interpret, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, str(TESTS / "cuda_kernel_jobs.py"), job]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == f"{job}: done"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "job", ["few", *(pytest.param(job, marks=pytest.mark.slow) for job in ("many", "cells", "texts", "long"))]
)
def test_the_kernels_equal_the_reference(peer_module, job):
    run(peer_module, job, "1")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_kernels_compile_for_a_hopper_gpu(peer_module):
    """Type errors of Triton's compiler, which the interpreter does not see; needs no GPU."""
    run(peer_module, "compile", "0")
