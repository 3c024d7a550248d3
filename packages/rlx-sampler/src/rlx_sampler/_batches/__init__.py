"""What a batch of episodes is made of: nested arrays, labels of steps, infos."""
