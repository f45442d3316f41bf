"""What the commands share that write: the options of a text stream."""

import argparse
from typing import TYPE_CHECKING, Any, Final

from .common import loading

if TYPE_CHECKING:
    from ..streams.text import TextStream

CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "--mode": {"help": "conservative, normal, open: the temperature by name"},
    "--top-k": {"type": int, "default": 0, "metavar": "K", "help": "only so many of the likeliest (default: all)"},
    "--top-p": {
        "type": float, "default": 1.0, "metavar": "P", "help": "only the likeliest that hold this share (default 1)"
    },
    "--min-p": {
        "type": float, "default": 0.0, "metavar": "P",
        "help": "only what has this share of the likeliest's probability (default 0)",
    },
    "--form": {"metavar": "FORM", "help": "of Chinese verse: 五绝 (wujue), 七绝 (qijue), 五律 (wulv), 七律 (qilv)"},
    "--rhyme": {
        "nargs": "?", "const": True, "default": False, "metavar": "GROUP",
        "help": "even lines rhyme, in this group of the Pingshui tables",
    },
    "--tones": {
        "nargs": "?", "const": True, "default": False, "metavar": "PATTERN",
        "help": "level and oblique tones, in this pattern",
    },
}  # fmt: skip
"""Options by name; all have the default of ``livesketch.text``."""


def add_text(parser: Any) -> None:
    """The options, in a parser or a group of one."""
    for option, kwargs in CONTROLS.items():
        parser.add_argument(option, **kwargs)


def given_of(args: argparse.Namespace) -> list[str]:
    """Those of the options that are not at their default."""
    names = {option: option[2:].replace("-", "_") for option in CONTROLS}
    return [option for option, name in names.items() if getattr(args, name) != CONTROLS[option].get("default")]


def open_text_stream(args: argparse.Namespace) -> "TextStream":
    """The stream that the options describe."""
    with loading():
        from ..streams.text import text  # noqa: PLC0415 - --help must not wait for a backend

        if args.backend in {"auto", "cpu"}:
            from ..backends import cpu  # noqa: F401, PLC0415 - likewise

    return text(
        args.model, seed=args.seed, temperature=args.temperature, mode=args.mode, form=args.form, rhyme=args.rhyme,
        tones=args.tones, top_k=args.top_k, top_p=args.top_p, min_p=args.min_p, backend=args.backend,
    )  # fmt: skip
