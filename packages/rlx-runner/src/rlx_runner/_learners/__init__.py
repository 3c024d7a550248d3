"""Several processes that train together: what they agree on, and the snapshot that they commit as one."""
