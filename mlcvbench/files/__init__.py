"""Reading untrusted files: sizes are checked before reading, and each failure gives one clear line."""
