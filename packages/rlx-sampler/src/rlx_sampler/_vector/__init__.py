"""Environments that step all their lanes at once, and what is recorded of them by arrays."""
