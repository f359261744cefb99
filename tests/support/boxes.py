"""Boxes and regions that tests of detectors draw."""

from __future__ import annotations

import torch
from hypothesis import strategies as st


def random_boxes(count: int, seed: int = 0, side: float = 100.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return boxes (count, 4) with sides of 2 to 0.6 `side` pixels and corners in an image of that side, or beyond."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=dtype) * side * 0.8
    sides = 2 + torch.rand(count, 2, generator=generator, dtype=dtype) * side * 0.6
    return torch.cat((corner, corner + sides), dim=1)


def nobody(boxes: torch.Tensor) -> torch.Tensor:
    """Return flags (M,) by which no box is ignored."""
    return torch.zeros(len(boxes), dtype=torch.bool)


def box_lists(most: int = 6) -> st.SearchStrategy[torch.Tensor]:
    """Return a strategy for boxes float64 (M, 4), M from 0 on, also partly outside an image of 100x100."""
    place, side = st.floats(-40, 120, width=32), st.floats(0.5, 90, width=32)
    box = st.tuples(place, place, side, side).map(lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]])
    return st.lists(box, max_size=most).map(lambda rows: torch.tensor(rows, dtype=torch.float64).reshape(-1, 4))
