"""Backends that people read as they are: CSV, JSON lines, the console."""
