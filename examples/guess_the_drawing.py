"""The game: the machine guesses while strokes arrive, and then draws on what it takes it for.

After each stroke the model is asked how likely the drawing so far is under each of its labels; only what is new is run.
"""

import livesketch as ls

# In the units of Quick, Draw! (a drawing is about 255 wide), y down.
LEFT = [(128, 62), (80, 70), (45, 105), (36, 150), (56, 205), (100, 235)]
RIGHT = [(150, 237), (200, 210), (222, 160), (214, 110), (180, 74), (128, 62)]
STROKES = [
    ("a round", [*LEFT, *RIGHT]),
    ("an ear", [(52, 100), (40, 12), (104, 64)]),
    ("an ear", [(160, 66), (214, 8), (212, 104)]),
    ("an eye", [(92, 118), (98, 124), (92, 128), (88, 122), (92, 118)]),
]

machine = ls.sketch("pig", seed=3, temperature=0.4)  # any label will do: its model knows them all
drawing = []
for what, stroke in STROKES:
    drawing.append(stroke)
    guesses = machine.guess(drawing, n=3)
    print(f"{what:8}", ", ".join(f"{label} {probability:.1%}" for label, probability in guesses))

given = machine.feed(drawing)  # becomes the model's own past
machine.label = guesses[0].label  # acts on the very next step
(finished,) = ls.draw(machine, to=[ls.svg("guess_the_drawing.svg", page="a5")])
more = len(finished.actions) - len(given)
print(f"guess_the_drawing.svg: {len(given)} points by hand, {more} by a machine that thinks it is a {machine.label}")
