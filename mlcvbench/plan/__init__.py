"""From the words of a request to its runs, and back to a run's command."""
