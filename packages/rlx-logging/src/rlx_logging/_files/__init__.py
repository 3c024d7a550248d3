"""The files of a run's logs: appended to, cut at a resume, replaced whole."""
