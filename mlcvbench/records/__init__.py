"""Records: what a run leaves behind, and where it is kept."""
