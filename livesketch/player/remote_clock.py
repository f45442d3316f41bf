"""What stands here for the sender of MIDI clock (``pulse_sender``) in the playing process."""

from .engine import engine


class RemoteClock:
    """``PulseSender`` in the playing process."""

    def __init__(self, port: str, *, virtual: bool, api: str | None) -> None:
        self._port, self._virtual, self._api = port, virtual, api

    def __repr__(self) -> str:
        return f"MIDI clock to {self._port!r:.60} from {f'process {engine.pid}' if engine.alive else 'a process, gone'}"

    def start(self) -> None:
        """Begins to send there. OutputError, ControlError, MissingExtraError: as ``ls.midi``."""
        engine.ask("send_clock", self._port, self._virtual, self._api)

    def close(self) -> None:
        """Ends it. Twice is harmless."""
        if engine.alive:
            engine.ask("send_clock", None, False, None)
