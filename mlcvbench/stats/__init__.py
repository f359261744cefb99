"""Uncertainty: bootstrap replicates, confidence intervals from them, and rank intervals."""
