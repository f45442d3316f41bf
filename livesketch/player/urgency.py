"""Threads that must be in time: the system is asked to run them before others."""

import os
from typing import Final

_PRIORITY: Final = 10
"""Of SCHED_RR, 1 to 99; below what sound servers take."""

allowed = False
"""Whether threads of this process shall be before others: only in the playing process, where no prompt can be stuck."""


def hurry() -> bool:
    """Before others from now on, this thread; whether the system allows it.

    Linux does for root, and for users with a limit ``rtprio`` (as for JACK: group ``audio`` or ``pipewire``). The
    environment variable ``LIVESKETCH_REALTIME=0`` stops that.
    """
    if not allowed or not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True
