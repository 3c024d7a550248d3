"""The state of any training loop: what belongs to it, how it is saved, and how the same objects get it back."""
