"""From a state to safe files: copied in no time, written in the background, only where it changed."""
