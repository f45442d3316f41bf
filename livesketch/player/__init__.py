"""Players: streams on a clock, sent to outputs."""
