"""Batches of a data set that continue in the middle of an epoch."""
