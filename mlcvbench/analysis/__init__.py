"""Analyses after a run: rescoring, comparing, looking at data, explaining, studies."""
