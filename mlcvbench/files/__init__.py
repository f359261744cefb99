"""Reading strangers' files: bounded before they are read, one clear line for what cannot be."""
