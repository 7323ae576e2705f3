"""What checks of two samples share: rows, pools, coordinates, neighbours."""
