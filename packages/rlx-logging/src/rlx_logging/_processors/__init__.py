"""What rows go through on their way to the backends."""
