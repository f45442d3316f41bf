"""``livesketch train``."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .common import Commands

if TYPE_CHECKING:
    from ..training.train import Order

_Option = tuple[type, str]

_SHARED: Final[dict[str, _Option]] = {
    "steps": (int, "batches to train on; raise it to go on with a finished training"),
    "rate_min": (float, "its least value"),
    "weight_decay": (float, "of AdamW"),
    "average": (float, "of the moving average of the weights, which is kept; 0 without"),
    "eval_every": (int, "steps between evaluations, samples and saves"),
    "patience": (int, "end after so many looks without a better; 0 never"),
    "seed": (int, "the same seed trains the same model on the same machine"),
    "device": (str, "cpu, cuda"),
    "precision": (str, "auto, fp32, bf16: of matrix products"),
}
_SKETCH: Final[dict[str, _Option]] = {
    "steps": _SHARED["steps"],
    "hidden": (int, "units of the decoder"),
    "cell": (str, "of the decoder: lstm, layer_norm, hyper"),
    "encoder_hidden": (int, "units of the encoder, each direction"),
    "encoder_cell": (str, "of the encoder: lstm, layer_norm, hyper"),
    "z_size": (int, "length of the latent vector; 0 trains a decoder alone"),
    "label_size": (int, "length of the label vectors, where the data has several classes"),
    "mixtures": (int, "Gaussian components"),
    "recurrent_dropout": (float, "share of candidate values dropped"),
    "output_dropout": (float, "share of the decoder's outputs dropped"),
    "z_dropout": (float, "share of drawings trained without a latent, so that the model also draws without one"),
    "batch": (int, "drawings in a step, over all processes"),
    "rate": (float, "learning rate at the beginning"),
    "rate_decay": (float, "its factor per step"),
    "rate_min": _SHARED["rate_min"],
    "rate_shape": (str, "exponential, or cosine over all steps"),
    "kl_weight": (float, "weight of L_KL at last"),
    "kl_start": (float, "weight of L_KL at first"),
    "kl_decay": (float, "how slowly it gets there"),
    "kl_tolerance": (float, "below it L_KL does not count"),
    "clip": (float, "gradients are clipped to this, value by value"),
    "scale_augment": (float, "x and y are scaled at random by up to this share"),
    "drop_augment": (float, "share of points merged at random"),
    "max_rows": (int, "longer drawings are left out, and counted"),
    "eval_drawings": (int, "validation drawings looked at each time"),
    **_SHARED,
}
_TEXT: Final[dict[str, _Option]] = {
    "steps": _SHARED["steps"],
    "architecture": (str, "lstm, attention"),
    "unit": (str, "what a token is: character, word, byte"),
    "documents": (str, "what a document is: auto, line, blank (lines between them), file"),
    "min_count": (int, "symbols that come less often are unknown ones"),
    "vocabulary": (int, "at most so many symbols"),
    "hidden": (int, "units of each layer"),
    "layers": (int, "how many"),
    "embedding": (int, "length of the embeddings; 0: as many as units, and tied to the head (lstm)"),
    "heads": (int, "of attention, a divisor of --hidden"),
    "window": (int, "how many tokens attention looks back on"),
    "label_size": (int, "length of the label vectors, where there are several classes (lstm)"),
    "embedding_dropout": (float, "share of the embeddings dropped"),
    "layer_dropout": (float, "share dropped between layers"),
    "output_dropout": (float, "share dropped before the head"),
    "length": (int, "longer documents are cut into chunks of so many tokens"),
    "batch": (int, "chunks in a step, over all processes"),
    "rate": (float, "the highest learning rate; it falls along half a cosine"),
    "warmup": (int, "steps over which it rises"),
    "rate_min": _SHARED["rate_min"],
    "clip": (float, "gradients are clipped to this norm"),
    "eval_tokens": (int, "validation tokens looked at each time"),
    "max_steps": (int, "a piece is cut after so many tokens; 0: the longest document's, 1000 of running text"),
    **_SHARED,
}


def _sketch(args: argparse.Namespace) -> None:
    from ..models.catalogue import open_whole  # noqa: PLC0415 - --help must not wait for NumPy
    from ..training.settings import SketchSettings  # noqa: PLC0415 - likewise
    from ..training.train import train_sketch  # noqa: PLC0415 - loads torch
    from ..training.warm import options_from  # noqa: PLC0415 - likewise

    init, given = open_whole(args.init) if args.init else None, _given(args, _SKETCH)
    if init is not None:
        given = options_from(init, given)
    settings = SketchSettings(**given)
    _say(train_sketch(_order(args, "sketches", settings=settings, init=init, init_as=args.init or "")))


def _text(args: argparse.Namespace) -> None:
    from ..training.text_settings import TextSettings  # noqa: PLC0415 - --help must not wait for NumPy
    from ..training.train import train_text  # noqa: PLC0415 - loads torch

    settings = TextSettings(**_given(args, _TEXT), openings=args.openings)
    _say(train_text(_order(args, "texts", settings=settings)))


def _given(args: argparse.Namespace, options: Mapping[str, _Option]) -> dict[str, Any]:
    return {name: getattr(args, name) for name in options if getattr(args, name) is not None}


def _order(args: argparse.Namespace, several: str, **more: Any) -> "Order":
    from ..training.train import Order  # noqa: PLC0415 - loads torch

    output = args.output or Path(f"{_stem(args.data[0]) if len(args.data) == 1 else several}.safetensors")
    return Order(
        sources=args.data, output=output, name=args.name or output.stem, licence=args.licence,
        attribution=args.attribution, fresh=args.fresh, **more,
    )  # fmt: skip


def _say(path: Path) -> None:
    if path.exists():  # not where it was stopped before the first look
        print(path)


def _stem(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def add(commands: Commands) -> None:
    """The command's options; they are ``SketchSettings``'s and ``TextSettings``'s."""
    train = commands.add(
        "train", _sketch, "train a model on drawings or texts of your own",
        "livesketch train sketch cats/ -o cat.safetensors\n  livesketch train text songs.txt -o songs.safetensors",
    )  # fmt: skip
    kinds = train.add_subparsers(title="what to train", metavar="KIND", required=True)
    sketch = kinds.add_parser(
        "sketch", help="a Sketch-RNN on drawings", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a Sketch-RNN on .npz and .ndjson data sets, folders of SVG files, saved strokes and traces.",
        epilog="examples:\n  livesketch train sketch cat.npz pig.npz --steps 20000 -o farm.safetensors\n"
        "  torchrun --nproc-per-node 2 -m livesketch train sketch cat.npz --device cuda\n"
        "The same command goes on with a training that was stopped.",
    )  # fmt: skip
    _add(sketch, "DATA", "whose drawings they are", _SKETCH)
    sketch.add_argument("--init", metavar="MODEL", help="begin from this model's weights, as a bundled one's")
    sketch.set_defaults(run=_sketch)
    text = kinds.add_parser(
        "text", help="a text model on documents", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a text model on plain text files (UTF-8) and folders of .txt files.",
        epilog="examples:\n  livesketch train text wuyan.txt qiyan.txt --steps 6000 -o tang.safetensors\n"
        "  livesketch train text novel.txt --documents file --unit word\n"
        "The same command goes on with a training that was stopped.",
    )  # fmt: skip
    _add(text, "CORPUS", "whose texts they are", _TEXT)
    text.add_argument(
        "--no-openings", dest="openings", action="store_false",
        help="put no first lines of the training documents into the model",
    )  # fmt: skip
    text.set_defaults(run=_text)


def _add(parser: argparse.ArgumentParser, what: str, whose: str, options: Mapping[str, _Option]) -> None:
    """What both kinds have, and the options of one."""
    parser.add_argument("data", nargs="+", type=Path, metavar=what, help="files, or folders of them; each is a class")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.safetensors", help=f"the model (default: named by {what})"
    )
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--licence", default="not stated", help="of the weights, for the model card")
    parser.add_argument("--attribution", default="not stated", help=f"{whose}, for the model card")
    parser.add_argument("--fresh", action="store_true", help="throw a begun training away")
    for name, (kind, text) in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=_METAVARS[kind], help=text)


_METAVARS: Final[dict[type, str]] = {int: "N", float: "X", str: "WORD"}
