"""What networks are made of: backbones, pyramids and the parts of detectors. A library: no entry point."""
