"""Text as drawing: tokens become pen actions, stroke by stroke in the order in which a hand writes them."""
