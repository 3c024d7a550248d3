"""Keyed, parallel episode sampling: the same batch for any number of workers."""
