"""What numbers depend on that is in no object: the machine, and switches of the process."""
