"""How good the drawings are, not how fast: each module is a command of its own, and needs the data and minutes."""
