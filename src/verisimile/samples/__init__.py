"""What the checks of two samples share: pools, coordinates, and draws of their null."""
