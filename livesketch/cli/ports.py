"""``livesketch ports``."""

import argparse

from .common import Commands


def _ports(args: argparse.Namespace) -> None:
    from ..midi_ports.system import ports  # noqa: PLC0415 - loaded when used

    found = ports(api=args.api)
    if found.missing:
        raise found.error(found.missing)
    for kind, names, said in (
        ("outputs", found.outputs, "nothing here hears MIDI yet; ls.midi() makes a port that others connect to"),
        ("inputs", found.inputs, "nothing here sends MIDI yet; ls.midi_in() makes a port that others connect to"),
    ):
        print(f"{kind}:")
        for name in names:
            print(f"  {name}")
        if not names:
            print(f"  none: {said}")


def add(commands: Commands) -> None:
    """The command's options."""
    parser = commands.add("ports", _ports, "list the MIDI ports", "livesketch ports")
    parser.add_argument(
        "--api", choices=["alsa", "jack", "core", "windows"], help="the MIDI system (default: the machine's own)"
    )
