"""What all samplers with remote workers share: one rule each for failing, dying and being stuck."""
