"""TensorBoard's event files, written and read."""
