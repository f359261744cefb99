"""Boxes, masks and matching: the basis of every detection protocol."""
