"""What is logged: rows of numbers, and media beside them."""
