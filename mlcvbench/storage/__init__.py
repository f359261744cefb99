"""Writing that lasts: whole or not at all, claimed by one process, remembered in a cache."""
