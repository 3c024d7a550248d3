"""How policies are asked for actions: several rows a call, each with noise of its own episode."""
