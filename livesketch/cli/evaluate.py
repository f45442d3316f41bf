"""``livesketch eval``."""

import argparse
import json
from pathlib import Path

from .common import MODEL_HELP, Commands, note, number


def _evaluate(args: argparse.Namespace) -> None:
    from ..models.catalogue import open_whole  # noqa: PLC0415 - loads NumPy
    from ..training.evaluation import figures, total  # noqa: PLC0415 - loads torch
    from ..training.measure import measure  # noqa: PLC0415 - likewise

    checkpoint = open_whole(args.model)
    measured = measure(
        checkpoint, args.data, split=args.split, label=args.label, limit=args.limit, n_max=args.n_max,
        max_rows=args.max_rows, seed=args.seed, padded=not args.quick,
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
        print(json.dumps({"n_max": measured.n_max, "split": args.split, "losses": rows}, indent=1))
        return
    width = max(map(len, rows))
    names = list(next(iter(rows.values())))
    print(f"{'':{width}}  " + "  ".join(f"{name:>13}" for name in names))
    for row, values in rows.items():
        print(f"{row:{width}}  " + "  ".join(f"{values[name]:13.4f}" for name in names))
    note(f"{args.split} split, dropout off; L_R, L_s and L_p are divided by N_max = {measured.n_max} rows a drawing")


def add(commands: Commands) -> None:
    """The command's options."""
    evaluate = commands.add(
        "eval", _evaluate, "measure a model's losses on drawings", "livesketch eval cat.safetensors cat.npz"
    )
    evaluate.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    evaluate.add_argument("data", nargs="+", type=Path, metavar="DATA", help="files, or folders of them")
    evaluate.add_argument("--split", default="test", help="train, valid, test (default test)")
    evaluate.add_argument("--label", help="the model's class for all of the data (default: by the files' names)")
    evaluate.add_argument("--limit", type=number(int, 1), metavar="N", help="at most so many drawings of each class")
    evaluate.add_argument(
        "--n-max", type=number(int, 1), metavar="N", help="what L_R divides by (default: the longest)"
    )
    evaluate.add_argument("--max-rows", type=number(int, 2), default=250, metavar="N", help="longer ones are left out")
    evaluate.add_argument("--seed", type=int, default=1, help="of the split, for data without splits (default 1)")
    evaluate.add_argument("--quick", action="store_true", help="without the unmasked L_p, which runs the padding")
    evaluate.add_argument("--json", action="store_true", help="as JSON")
