"""Boards as tables: columns, formatting, files and the terminal."""
