"""Whole-run snapshots that are fast, atomic, verified and ordinary pickles."""
