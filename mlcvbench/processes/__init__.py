"""Child processes: one way to start, watch, talk to and end them."""
