"""Does the generated sample fill the truth's support, and nothing else: beside null values."""
