"""The readers and writers of fitted arrays under the name by which plugins know them."""

from mlcvbench.files.arrays import read_arrays, write_arrays

__all__ = ["read_arrays", "write_arrays"]
