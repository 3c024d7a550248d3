"""Sends in a thread of its own, so that nothing slow or dead holds up training."""
