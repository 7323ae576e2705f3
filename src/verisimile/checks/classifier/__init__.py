"""Classifier diagnostics: what tells generated events from true ones."""
