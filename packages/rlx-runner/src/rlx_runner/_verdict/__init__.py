"""Whether a run really resumes exactly: found by doing it."""
