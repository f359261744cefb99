"""Uncertainty: bootstrap replicates, the intervals made of them, and how ranks can vary."""
