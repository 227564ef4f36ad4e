"""Kiali's own console, served over a stored run: the drawing is real, its backend is a model."""
