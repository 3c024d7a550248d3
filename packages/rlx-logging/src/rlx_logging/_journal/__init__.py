"""The metric journal, the primary store of a run."""
