"""Training logs that lose nothing, double nothing and stay out of the way."""
