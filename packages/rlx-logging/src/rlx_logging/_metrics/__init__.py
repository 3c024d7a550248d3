"""What was logged, read back: series, pictures, tables for other programs."""
