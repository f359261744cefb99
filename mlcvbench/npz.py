"""Arrays in npz files, read without unpickling: the name under which plugins import `mlcvbench.files.npz`."""

from mlcvbench.files.npz import NpzReader, open_npz, write_npz

__all__ = ["NpzReader", "open_npz", "write_npz"]
