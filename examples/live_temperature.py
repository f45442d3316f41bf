"""A performance in two seconds: pen actions go out over OSC while the temperature rises and falls.

Run `livesketch monitor 9000` in another terminal, or open receive_pen.pd in Pure Data, to see them arrive.
"""

import math
import time

import livesketch as ls

SECONDS = 2.0

cat = ls.sketch("cat", seed=7)
heard = ls.Recorder()  # keeps what the receiver gets, so that this script can tell about it
with ls.play(cat, to=[ls.osc("127.0.0.1:9000"), heard], rate=120, name="cat"):
    start = time.monotonic()
    while (now := time.monotonic() - start) < SECONDS:
        cat.temperature = 0.6 - 0.5 * math.cos(math.pi * now)  # 0.1 to 1.1 and back; acts on the next step
        time.sleep(0.02)
print(f"{len(heard.events)} events in {SECONDS:g} s, seed {cat.seed}")
