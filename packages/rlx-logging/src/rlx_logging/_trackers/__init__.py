"""Trackers of experiments, which get the rows of the journal when their snapshot is committed."""
