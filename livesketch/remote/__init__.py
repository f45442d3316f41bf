"""Others take hold of what plays: OSC messages as controls."""
