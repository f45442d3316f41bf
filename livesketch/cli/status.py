"""``livesketch status``."""

import argparse
import socket
from typing import TYPE_CHECKING, Final

from ..errors import OutputError
from .common import Commands, number

if TYPE_CHECKING:
    from ..inputs.osc_read import Value

_MOST: Final = 100
"""Packets that are looked at: others may send to this port too."""


def _status(args: argparse.Namespace) -> None:
    from ..outputs.osc_wire import resolve  # noqa: PLC0415 - loaded when used

    count, rows = _asked(*resolve(args.target), args.target, args.seconds)
    if not count:
        print(f"{args.target} answers, and nothing plays")
        return
    width = max(len(name) for name, _, _ in rows)
    for name, state, steps in rows:
        print(f"{name:{width}}  {state:8} {steps} steps")
    if count > len(rows):
        print(f"and {count - len(rows)} more")


def _asked(
    family: socket.AddressFamily, address: tuple[object, ...], target: str, seconds: float
) -> tuple[int, list[tuple[str, str, int]]]:
    """How many play there, and name, state and steps of each.

    Raises:
        OutputError: nobody answers.
    """
    from ..outputs.osc_wire import osc_message  # noqa: PLC0415 - likewise

    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        try:
            udp.settimeout(seconds)
            udp.connect(address)
            udp.send(osc_message("/livesketch/ping", "i", udp.getsockname()[1]).dgram)
            for _ in range(_MOST):
                found = _read(udp.recv(65536))
                if found is not None:
                    return found
            why = "what came was no answer"
        except TimeoutError:
            why = f"waited {seconds:g} s"
        except OSError as err:
            why = err.strerror or str(err)
    raise OutputError(f"nobody answered at {target} ({why}); expected a livesketch that listens there: ls.listen(9001)")


def _read(packet: bytes) -> tuple[int, list[tuple[str, str, int]]] | None:
    """What a pong says; None: it is none."""
    from ..inputs.osc_read import read  # noqa: PLC0415 - likewise

    try:
        messages = read(packet)
    except ValueError:
        return None
    for message in messages:
        if message.address == "/livesketch/pong" and message.args and isinstance(message.args[0], int):
            count, values = message.args[0], message.args[1:]
            rows = [_row(*values[k : k + 3]) for k in range(0, len(values) - 2, 3)]
            return count, rows
    return None


def _row(name: "Value", state: "Value", steps: "Value") -> tuple[str, str, int]:
    """As a terminal may show it: whoever answers may be anybody."""
    plain = ["".join(c if c.isprintable() else " " for c in str(value))[:60] for value in (name, state)]
    return plain[0], plain[1], steps if isinstance(steps, int) else 0


def add(commands: Commands) -> None:
    """The command's options."""
    parser = commands.add(
        "status", _status, "ask a livesketch that listens (ls.listen) what it plays", "livesketch status 127.0.0.1:9001"
    )
    parser.add_argument(
        "target", nargs="?", default="127.0.0.1:9001", metavar="HOST:PORT", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=number(float, 0.01, 60), default=1.0, metavar="S", help="wait so long (default: %(default)s)"
    )
