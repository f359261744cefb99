"""Time per image: in one process, in fresh processes, and the steadiness of the machine."""
