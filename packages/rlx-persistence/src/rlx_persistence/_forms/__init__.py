"""What the content of a file looks like in each mode, and what of a policy it can hold."""
