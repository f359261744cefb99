"""What fitted plugins share: a compact training loop and stored arrays. A library: no entry point."""
