"""What MIDI out and MIDI in share: ports, and the names of notes."""
