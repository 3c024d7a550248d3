"""What the trainings of other libraries have in common: workers, log files, and what belongs to a process."""
