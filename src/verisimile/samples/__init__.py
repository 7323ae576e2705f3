"""What the checks of two samples share: pools, coordinates, draws of their null, copied rows."""
