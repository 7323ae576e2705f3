"""What all members of an ensemble miss alike: an exponential correction with honest errors."""
