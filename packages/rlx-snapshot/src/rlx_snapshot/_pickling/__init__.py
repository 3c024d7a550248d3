"""How a state becomes a pickle: everything that reinforcement learning holds, exactly."""
