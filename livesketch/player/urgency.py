"""Threads that must be in time: the system is asked to run them before others."""

import os
from typing import Final

PRIORITY: Final = 3
"""Of SCHED_RR, 1 to 99: before all ordinary programs, but behind JACK (10 unless told otherwise) and PipeWire (88)."""
SWITCH: Final = "LIVESKETCH_REALTIME"
"""An environment variable; ``0``: the system is not asked."""


def hurry() -> bool:
    """Before others from now on, this thread, not those that it starts; whether the system allows it.

    Linux does for root, and for users with a limit ``rtprio`` (as for JACK: group ``audio`` or ``pipewire``); see
    ``sched(7)``. Elsewhere nothing is asked.
    """
    if os.environ.get(SWITCH) == "0" or not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True
