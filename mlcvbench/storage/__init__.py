"""Durable writing: atomic files and folders, claims by one process, and the cache."""
