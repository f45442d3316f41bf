"""Readers of drawings to train on."""
