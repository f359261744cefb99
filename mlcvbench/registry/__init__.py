"""Which plugins there are: found by their entry points, checked, quarantined when broken, looked up by name."""

from mlcvbench.registry.registry import Candidate, Entry, Registry, discover, get_registry, using

__all__ = ["Candidate", "Entry", "Registry", "discover", "get_registry", "using"]
