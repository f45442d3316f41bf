"""Sixteen voices of one model, stepped together: each has its own OSC address, and all share a page, choir.svg.

Over OSC voice 3 is /livesketch/choir/3. On the page every voice has a layer of its own, for a plotter's pens.
"""

import livesketch as ls

SECONDS = 2.0
COLORS = ["black", "crimson", "royalblue", "seagreen"]

choir = ls.voices("cat", 16, seed=3, temperature=0.5)
page = ls.svg("choir.svg", landscape=True, color=COLORS * 4)
with ls.play(choir, to=[ls.osc("127.0.0.1:9000"), page], rate=100, name="choir") as player:
    player.wait(SECONDS)  # what is unfinished then is cut
stats = player.stats()
print(f"choir.svg: {stats.steps} steps of {len(choir)} voices, {stats.drawings} drawings finished")
