"""The same step in JavaScript: ``@magenta/sketch`` under Node, which ``make peers`` installs beside this file."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .peers import TEMPERATURE, Array, Weights

FOLDER = Path(__file__).parent / "js"
PACKAGES = FOLDER / "node_modules"


def missing() -> str | None:
    """Why it cannot run here; None where it can."""
    if shutil.which("node") is None:
        return "no Node here; install nodejs and npm, then `make peers`"
    if not (PACKAGES / "@magenta" / "sketch").is_dir():
        return "its npm packages are not installed; `make peers` installs them"
    return None


class JsEngine:
    """A Node process that steps when told to and says how long it took; ``close`` ends it."""

    def __init__(self, w: Weights) -> None:
        parts = [w.w, w.b, w.head_w, w.head_b, w.hidden, w.cell, w.start]
        sizes = [str(number) for number in (w.units, w.mixtures, w.max_steps, TEMPERATURE)]
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.bin"
            weights.write_bytes(b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in parts))
            self._process = subprocess.Popen(
                ["node", "peer.js", str(weights), *sizes],
                cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            about: dict[str, str] = self._answer()
        if about["backend"] != "wasm":
            self.close()
            raise RuntimeError(f"TensorFlow.js runs on {about['backend']}; expected wasm")

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate(timeout=30)
            raise RuntimeError(f"node peer.js ended with {self._process.returncode}; what it said stands above")
        return json.loads(line)

    def _ask(self, **command: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def parameters(self, inputs: Array) -> Array:
        """From the beginning of a drawing: what the density is after each of these inputs (n, 5), (n, 3 + 6M)."""
        return np.array(self._ask(pdf=inputs.tolist()), np.float32)

    def run(self, steps: int) -> float:
        return float(self._ask(run=steps)) * 1e-9
