"""Trainings that are killed, or shared by two processes: what any kind of training must then give."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from livesketch.training.state import load_state

Command = Callable[..., list[str]]
"""The command line of a training, given its output and further options; Python first."""


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_killed_goes_on(command: Command, folder: Path, steps: int) -> None:
    """kill -9 behind the first look, and the same command again: all tensors as if nothing had happened."""
    options = [f"--steps={steps}", "--eval-every=20"]
    whole, killed = folder / "whole.safetensors", folder / "killed.safetensors"
    subprocess.run(command(whole, *options), check=True, timeout=300, capture_output=True)
    process = subprocess.Popen(command(killed, *options), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state = folder / "killed.training.safetensors"
    deadline = time.monotonic() + 200
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_state(state).facts["step"] < steps
    done = subprocess.run(command(killed, *options), check=True, timeout=300, capture_output=True, text=True)
    assert "going on from step" in done.stderr
    one, other = load_state(folder / "whole.training.safetensors"), load_state(state)
    assert same(one.tensors, other.tensors)


def assert_two_do_what_one_does(command: Command, folder: Path, *more: str) -> None:
    """gloo on the CPU: batch, noise and gradients are shared, so the weights are the same but for rounding."""
    options = ["--steps=30", "--eval-every=30", *more]
    one, two = folder / "one.safetensors", folder / "two.safetensors"
    subprocess.run(command(one, *options), check=True, timeout=300, capture_output=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, *command(two, *options)[1:]], check=False, timeout=300, capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    alone = load_state(folder / "one.training.safetensors").part("weights")
    shared = load_state(folder / "two.training.safetensors").part("weights")
    assert alone.keys() == shared.keys()
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=2e-4), name
