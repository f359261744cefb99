"""What a data set of the task must keep, whoever wrote it."""

from __future__ import annotations

from mlcvbench.contract import LoadedData, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench_depth.quantise import FIELDS
from mlcvbench_depth.scoring import OCCLUDED, field_of


def check_data(data: LoadedData) -> None:
    """Refuse measured maps of another type or size than their input, negative, or not finite.

    `disparity` (px) or `depth` (m), as `problem.extra["field"]` says: float32 (H, W), 0 = unknown; only the test split
    must have it. `occluded`, when it is given: bool (H, W), true where the right camera does not see the pixel.
    DataError names the split, the sample, what was wanted and what was got.
    """
    field = field_of(data.problem.extra)
    if field not in FIELDS:
        raise DataError(f"data set {data.name!r}: wanted problem.extra['field'] {' or '.join(FIELDS)}, got {field!r}.")
    for place in checked_ends(data, (field,), (OCCLUDED,), only_test=True):
        for name, dtype in ((field, "float32"), (OCCLUDED, "bool")):
            if name in place.targets:
                values = check_target(place, name, place.size, dtype)
                if name == field and values.size and values.min() < 0:
                    raise DataError(
                        f"{place.where}: wanted numbers from 0 (unknown) in the target {name!r}, got {values.min()}."
                    )
