"""Wrap a function and get a recorded, resumable, repeatable run folder."""
