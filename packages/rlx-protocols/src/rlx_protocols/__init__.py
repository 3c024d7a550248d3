"""The contract between the parts of a reinforcement-learning training run, and a kit that checks implementations of it."""
