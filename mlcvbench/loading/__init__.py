"""From a run to its task, data and model."""
