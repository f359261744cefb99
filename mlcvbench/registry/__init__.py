"""The installed plugins: found by entry point, checked, quarantined when broken, looked up by name."""

from mlcvbench.registry.registry import Candidate, Entry, Registry, discover, get_registry, using

__all__ = ["Candidate", "Entry", "Registry", "discover", "get_registry", "using"]
