"""Bootstrap ensembles of density estimators and their log-density matrix."""
