"""How long an image takes: in one process, in fresh ones, and how steady the machine was."""
