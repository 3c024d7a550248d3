"""The evidence behind a sampler's grade: episodes that are run again, and what differs between the two."""
