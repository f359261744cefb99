"""Leaderboards: from the records of a runs folder to ranked tables, files and one static site."""
