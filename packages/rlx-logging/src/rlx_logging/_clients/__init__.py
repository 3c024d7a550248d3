"""What scripts of other libraries write to, with a logger of this package behind it."""
