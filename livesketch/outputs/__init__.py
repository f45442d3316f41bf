"""Where events go: OSC, paper, the terminal, and a recorder for tests."""
