"""``livesketch monitor``."""

import argparse

from .common import Commands, note, number


def _monitor(args: argparse.Namespace) -> None:
    from ..inputs.monitor import monitor  # noqa: PLC0415 - likewise

    with monitor(args.port, host=args.host, timeout=args.seconds) as listening:
        note(f"listening on {args.host} port {args.port}; Ctrl-C ends")
        for received in listening:
            print(received, flush=True)


def add(commands: Commands) -> None:
    """The command's options."""
    monitor = commands.add(
        "monitor", _monitor, "show OSC messages as they arrive: is anything coming?", "livesketch monitor 9000"
    )
    monitor.add_argument("port", type=number(int, 1, 65535), metavar="PORT")
    monitor.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1: this machine only)"
    )
    monitor.add_argument("--seconds", type=number(float, 0), help="stop after so long (default: Ctrl-C)")
