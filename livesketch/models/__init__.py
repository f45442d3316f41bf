"""Checkpoints, importers, and the networks for training."""
