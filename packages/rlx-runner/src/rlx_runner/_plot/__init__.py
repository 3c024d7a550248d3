"""Pictures of an episode, drawn after an epoch."""
