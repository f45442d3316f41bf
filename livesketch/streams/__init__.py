"""Streams: state that becomes events, one model step at a time."""
