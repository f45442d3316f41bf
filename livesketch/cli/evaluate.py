"""``livesketch eval``."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ControlError
from .common import MODEL_HELP, Commands, note, number

if TYPE_CHECKING:
    from ..models.checkpoint import Checkpoint
    from ..models.text_model import TextCheckpoint

_MAX_ROWS, _SEED = 250, 1


def _evaluate(args: argparse.Namespace) -> None:
    from ..models.catalogue import open_any  # noqa: PLC0415 - loads NumPy
    from ..models.text_model import TextCheckpoint  # noqa: PLC0415 - likewise

    model = open_any(args.model)
    if isinstance(model, TextCheckpoint):
        _refuse(args, ("n_max", "max_rows", "seed", "quick"), "models that draw")
        _text(args, model)
    else:
        _refuse(args, ("documents",), "models that write")
        _sketch(args, model)


def _refuse(args: argparse.Namespace, names: tuple[str, ...], kind: str) -> None:
    """ControlError: an option that this kind of model does not have."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) not in {None, False}]
    if given:
        raise ControlError(f"{', '.join(given)}: for {kind}, and {args.model} is none; leave it out")


def _sketch(args: argparse.Namespace, model: "Checkpoint") -> None:
    from ..training.evaluation import figures, total  # noqa: PLC0415 - loads torch
    from ..training.measure import measure  # noqa: PLC0415 - likewise

    measured = measure(
        model, args.data, split=args.split, label=args.label, limit=args.limit, n_max=args.n_max,
        max_rows=args.max_rows or _MAX_ROWS, seed=_SEED if args.seed is None else args.seed, padded=not args.quick,
    )  # fmt: skip
    tables = {"": measured.by_class, " without latent": measured.without_latent}
    rows: dict[str, dict[str, float]] = {}
    for suffix, scores in tables.items():
        if len(scores) > 1:
            rows |= {f"{name}{suffix}": figures(each, padded=not args.quick) for name, each in scores.items()}
        if scores:
            rows[f"all{suffix}" if len(scores) > 1 else f"{next(iter(scores))}{suffix}"] = figures(
                total(scores), padded=not args.quick
            )
    if args.json:
        _print_json({"n_max": measured.n_max, "split": args.split, "losses": rows})
        return
    _print_table(rows)
    note(f"{args.split} split, dropout off; L_R, L_s and L_p are divided by N_max = {measured.n_max} rows a drawing")


def _text(args: argparse.Namespace, model: "TextCheckpoint") -> None:
    from ..training.text_evaluation import total_text  # noqa: PLC0415 - loads torch
    from ..training.text_measure import measure_text  # noqa: PLC0415 - likewise

    found = measure_text(
        model, args.data, split=args.split, label=args.label, limit=args.limit, documents=args.documents
    )
    everything = total_text(found)
    scores = found | ({"all": everything} if len(found) > 1 else {})
    rows = {name: each.figures() for name, each in scores.items()}
    if args.json:
        counts = {"documents": everything.documents, "tokens": everything.tokens, "characters": everything.characters}
        _print_json({"split": args.split, **counts, "losses": rows})
        return
    _print_table(rows)
    note(
        f"{args.split} split: {everything.documents} documents, {everything.characters:,} characters with one END a "
        "document, which counts as a character"
    )


def _print_json(found: object) -> None:
    print(json.dumps(found, indent=1, ensure_ascii=False))


def _print_table(rows: Mapping[str, Mapping[str, float]]) -> None:
    """Figures by row and name."""
    width = max(map(len, rows))
    names = list(next(iter(rows.values())))
    columns = {name: max(13, len(name)) for name in names}
    print(f"{'':{width}}  " + "  ".join(f"{name:>{columns[name]}}" for name in names))
    for row, values in rows.items():
        print(f"{row:{width}}  " + "  ".join(f"{values[name]:{columns[name]}.4f}" for name in names))


def add(commands: Commands) -> None:
    """The command's options."""
    evaluate = commands.add(
        "eval", _evaluate, "measure a model's losses on drawings, or on texts",
        "livesketch eval cat.safetensors cat.npz\n  livesketch eval tang.safetensors wuyan.txt qiyan.txt",
    )  # fmt: skip
    evaluate.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    evaluate.add_argument("data", nargs="+", type=Path, metavar="DATA", help="files, or folders of them")
    evaluate.add_argument("--split", default="test", help="train, valid, test; of texts also all (default test)")
    evaluate.add_argument("--label", help="the model's class for all of the data (default: by the files' names)")
    evaluate.add_argument(
        "--limit", type=number(int, 1), metavar="N", help="at most so many drawings or documents of each class"
    )
    evaluate.add_argument("--json", action="store_true", help="as JSON")
    sketch = evaluate.add_argument_group("models that draw")
    sketch.add_argument("--n-max", type=number(int, 1), metavar="N", help="what L_R divides by (default: the longest)")
    sketch.add_argument(
        "--max-rows", type=number(int, 2), metavar="N", help=f"longer ones are left out (default {_MAX_ROWS})"
    )
    sketch.add_argument("--seed", type=int, help=f"of the split, for data without splits (default {_SEED})")
    sketch.add_argument("--quick", action="store_true", help="without the unmasked L_p, which runs the padding")
    text = evaluate.add_argument_group("models that write")
    text.add_argument("--documents", help="auto, line, blank, file: what a document is (default: as in the training)")
