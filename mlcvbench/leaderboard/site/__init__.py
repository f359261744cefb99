"""Boards as one static folder of pages."""
