"""Boards as tables: what a column shows, numbers in words, files and the terminal."""
