"""What steps environments and records episodes, one or many side by side."""
