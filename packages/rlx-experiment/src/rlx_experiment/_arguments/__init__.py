"""What an experiment is called with: declared, checked, recorded, read back."""
