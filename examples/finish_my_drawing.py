"""One beginning, nine endings: two strokes drawn by a human are fed in, and nine seeds go on from there."""

import livesketch as ls

# Two ears and the top of a head, in the units of Quick, Draw! (a drawing is about 255 wide), y down.
BEGINNING = [
    [[60, 90], [70, 20], [110, 65], [150, 65], [190, 20], [200, 90]],
    [[60, 90], [45, 130], [55, 180]],
]

page = ls.svg("finish_my_drawing.svg")
for seed in range(9):
    cat = ls.sketch("cat", seed=seed, temperature=0.4)
    given = cat.feed(BEGINNING)
    (drawing,) = ls.draw(cat, to=[page])  # the page is written again each time, with one drawing more
    print(f"seed {seed}: {len(given)} points by hand, {len(drawing.actions) - len(given)} by the model")
