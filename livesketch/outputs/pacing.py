"""When an output may act again, on the player's clock."""

_ROUNDING = 1e-6  # seconds; ticks at exactly the period are not too early for float rounding


def due(last: float | None, now: float, period: float) -> bool:
    """Whether ``period`` seconds have passed since ``last``; always, where there was no last time.

    A clock that went back, as the next player's may, counts as passed.
    """
    return last is None or not 0 <= now - last < period - _ROUNDING
