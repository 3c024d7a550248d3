"""What is told of runs: lists, tables, curves, a page, and whether a script resumes exactly."""
