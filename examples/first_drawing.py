"""Draws a cat on an A5 page: first_drawing.svg. The same seed draws the same cat again."""

import livesketch as ls

cat = ls.sketch("cat", seed=11)
ls.draw(cat, to=[ls.svg("first_drawing.svg", page="a5")])
print("first_drawing.svg, seed", cat.seed)
