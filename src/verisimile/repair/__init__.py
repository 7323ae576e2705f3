"""After the verdict: a density ratio with errors, and what becomes of the errors downstream."""
