"""Where snapshots lie, a directory or a URL, and which of them is meant."""
