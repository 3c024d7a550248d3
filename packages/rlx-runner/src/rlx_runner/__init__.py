"""The training loop that samples, logs and snapshots, and resumes bit for bit."""
