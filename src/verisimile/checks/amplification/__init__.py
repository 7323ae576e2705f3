"""How many events of the truth a generated sample is worth."""
