"""Standings: which records count, their rows, the order, and what is shown but not ranked."""
