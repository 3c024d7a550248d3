"""Loggers round other loggers."""
