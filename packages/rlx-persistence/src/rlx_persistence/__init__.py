"""Policies kept in a form that others can load."""
