"""Carrying out runs: one as a straight line of stages, many as a sweep of child processes."""
