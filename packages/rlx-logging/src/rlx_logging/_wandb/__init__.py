"""Weights & Biases: rows, keys, and a sender that waits for nobody."""
