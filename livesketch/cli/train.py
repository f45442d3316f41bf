"""``livesketch train``."""

import argparse
from pathlib import Path
from typing import Any, Final

from .common import Commands

_HELP: Final = {
    "steps": "batches to train on; raise it to go on with a finished training",
    "hidden": "units of the decoder",
    "cell": "of the decoder: lstm, layer_norm, hyper",
    "encoder_hidden": "units of the encoder, each direction",
    "encoder_cell": "of the encoder: lstm, layer_norm, hyper",
    "z_size": "length of the latent vector; 0 trains a decoder alone",
    "label_size": "length of the label vectors, where the data has several classes",
    "mixtures": "Gaussian components",
    "recurrent_dropout": "share of candidate values dropped",
    "output_dropout": "share of the decoder's outputs dropped",
    "z_dropout": "share of drawings trained without a latent, so that the model also draws without one",
    "batch": "drawings in a step, over all processes",
    "rate": "learning rate at the beginning",
    "rate_decay": "its factor per step",
    "rate_min": "its least value",
    "rate_shape": "exponential, or cosine over all steps",
    "kl_weight": "weight of L_KL at last",
    "kl_start": "weight of L_KL at first",
    "kl_decay": "how slowly it gets there",
    "kl_tolerance": "below it L_KL does not count",
    "clip": "gradients are clipped to this, value by value",
    "weight_decay": "of AdamW",
    "average": "of the moving average of the weights, which is kept; 0 without",
    "scale_augment": "x and y are scaled at random by up to this share",
    "drop_augment": "share of points merged at random",
    "max_rows": "longer drawings are left out, and counted",
    "eval_every": "steps between evaluations, samples and saves",
    "eval_drawings": "validation drawings looked at each time",
    "patience": "end after so many looks without a better; 0 never",
    "seed": "the same seed trains the same model on the same machine",
    "device": "cpu, cuda",
    "precision": "auto, fp32, bf16: of matrix products",
}


def _train(args: argparse.Namespace) -> None:
    from ..models.catalogue import open_whole  # noqa: PLC0415 - --help must not wait for NumPy
    from ..training.settings import SketchSettings  # noqa: PLC0415 - loads torch
    from ..training.train import Order, train_sketch  # noqa: PLC0415 - likewise
    from ..training.warm import options_from  # noqa: PLC0415 - likewise

    output = args.output or Path(f"{_stem(args.data[0]) if len(args.data) == 1 else 'sketches'}.safetensors")
    init = open_whole(args.init) if args.init else None
    given: dict[str, Any] = {name: getattr(args, name) for name in _HELP if getattr(args, name) is not None}
    if init is not None:
        given = options_from(init, given)
    order = Order(
        sources=args.data, output=output, settings=SketchSettings(**given), name=args.name or output.stem,
        licence=args.licence, attribution=args.attribution, fresh=args.fresh,
        init=init, init_as=args.init or "",
    )  # fmt: skip
    path = train_sketch(order)
    if path.exists():  # not where it was stopped before the first look
        print(path)


def _stem(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def add(commands: Commands) -> None:
    """The command's options; they are ``training.settings.SketchSettings``'s."""
    train = commands.add(
        "train", _train, "train a model on drawings of your own", "livesketch train sketch cats/ -o cat.safetensors"
    )
    kinds = train.add_subparsers(title="what to train", metavar="KIND", required=True)
    sketch = kinds.add_parser(
        "sketch", help="a Sketch-RNN on drawings", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a Sketch-RNN on .npz and .ndjson data sets, folders of SVG files, saved strokes and traces.",
        epilog="examples:\n  livesketch train sketch cat.npz pig.npz --steps 20000 -o farm.safetensors\n"
        "  torchrun --nproc-per-node 2 -m livesketch train sketch cat.npz --device cuda\n"
        "The same command goes on with a training that was stopped.",
    )  # fmt: skip
    sketch.add_argument("data", nargs="+", type=Path, metavar="DATA", help="files, or folders of them; each is a class")
    sketch.add_argument(
        "-o", "--output", type=Path, metavar="FILE.safetensors", help="the model (default: named by DATA)"
    )
    sketch.add_argument("--name", help="the model's name (default: the file's)")
    sketch.add_argument("--licence", default="not stated", help="of the weights, for the model card")
    sketch.add_argument("--attribution", default="not stated", help="whose drawings they are, for the model card")
    sketch.add_argument("--init", metavar="MODEL", help="begin from this model's weights, as a bundled one's")
    sketch.add_argument("--fresh", action="store_true", help="throw a begun training away")
    for name, text in _HELP.items():
        kind = str if name in _TEXTS else int if name in _WHOLE else float
        sketch.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=_METAVARS.get(kind), help=text)
    sketch.set_defaults(run=_train)


_TEXTS: Final = {"cell", "encoder_cell", "rate_shape", "device", "precision"}
_WHOLE: Final = {
    "steps", "hidden", "encoder_hidden", "z_size", "label_size", "mixtures", "batch", "max_rows", "eval_every",
    "eval_drawings", "patience", "seed",
}  # fmt: skip
_METAVARS: Final[dict[type, str]] = {int: "N", float: "X", str: "WORD"}
