"""Child processes: started, watched, heard and ended in one way."""
