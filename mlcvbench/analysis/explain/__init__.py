"""Explanations of a classifier's predictions: deconvnet projections and occlusion maps of a stored run's model."""
