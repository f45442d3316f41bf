"""L_R and L_KL of small trainings on several data sets, for three cells, with and without a latent.

    python -m benchmarks.quality.tables DATA... --steps 400 --hidden 256

Prints a Markdown table as it goes and writes JSON. Budgets are small: the figures compare the rows with each other, not
with trainings of days.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from livesketch.models.cells import CELLS
from livesketch.models.checkpoint import load_checkpoint
from livesketch.training.settings import SketchSettings
from livesketch.training.train import Order, train_sketch

from . import record

COLUMNS = ("L_R masked", "L_R unmasked", "L_s", "L_p masked", "L_p unmasked", "L_KL", "nats per step")


def plans(options: argparse.Namespace) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Data set and settings of each training."""
    for path in options.data:
        for cell in options.cells:
            yield path, {"cell": cell, "z_size": 0}
            for weight in options.kl_weights if cell == "lstm" else options.kl_weights[:1]:
                encoder = cell if cell != "hyper" else "layer_norm"
                yield path, {"cell": cell, "encoder_cell": encoder, "z_size": 128, "kl_weight": weight}


def run(path: Path, settings: SketchSettings) -> dict[str, Any]:
    """One training in a folder that is thrown away."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model.safetensors"
        train_sketch(Order(sources=[path], output=output, settings=settings, name=path.stem))
        checkpoint = load_checkpoint(output)
    losses = {name.removeprefix("test "): value for name, value in checkpoint.losses.items() if name.startswith("test")}
    return {
        "data": path.stem, "cell": settings.cell, "kl_weight": settings.kl_weight if settings.z_size else None,
        "minutes": (time.monotonic() - began) / 60, "n_max": checkpoint.max_steps - 1, **losses,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.tables", description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--encoder-hidden", type=int, default=128)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=CELLS)
    parser.add_argument("--kl-weights", nargs="+", type=float, default=[0.5])
    parser.add_argument("--out", type=Path, default=record.RESULTS)
    options = parser.parse_args(arguments)
    common = {
        "steps": options.steps, "batch": options.batch, "hidden": options.hidden,
        "encoder_hidden": options.encoder_hidden, "rate": 3e-3, "rate_shape": "cosine", "kl_decay": 0.99,
        "kl_tolerance": 0.0,
        "eval_every": max(1, options.steps // 4), "eval_drawings": 300,
    }  # fmt: skip
    rows = []
    print(f"| data | cell | w_KL | N_max | {' | '.join(COLUMNS)} | minutes |")
    print("|---|---|---|---|" + "---|" * (len(COLUMNS) + 1))
    for path, own in plans(options):
        row = run(path, SketchSettings(**(common | own)))
        rows.append(row)
        weight = "decoder only" if row["kl_weight"] is None else f"{row['kl_weight']:g}"
        shown = " | ".join(f"{row[name]:.3f}" for name in COLUMNS)
        print(
            f"| {row['data']} | {row['cell']} | {weight} | {row['n_max']} | {shown} | {row['minutes']:.1f} |",
            flush=True,
        )
    print(f"written: {record.write('tables', {'settings': common, 'rows': rows}, options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
