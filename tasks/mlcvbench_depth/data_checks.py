"""Checks of the task's data sets, whoever wrote them."""

from __future__ import annotations

from mlcvbench.contract import LoadedData, check_target, checked_ends
from mlcvbench.errors import DataError
from mlcvbench_depth.protocols import is_stereo, parse_stereo
from mlcvbench_depth.quantise import FIELDS
from mlcvbench_depth.scoring import OCCLUDED, field_of


def check_data(data: LoadedData) -> None:
    """Refuse ground-truth maps of another dtype or size than their input, negative, or not finite.

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


def check_protocol(data: LoadedData, protocol: str) -> None:
    """Refuse a protocol of the other field, and one without occluded pixels for data without their masks.

    DataError names the data set, what the protocol compares and what would do.
    """
    field, wanted = field_of(data.problem.extra), "disparity" if is_stereo(protocol) else "depth"
    if field != wanted:
        family = "stereo/ and kitti-d1/" if field == "disparity" else "mono/"
        raise DataError(
            f"protocol {protocol!r} compares {wanted}, but data set {data.name!r} has {field}; its protocols begin "
            f"with {family}."
        )
    if is_stereo(protocol):
        rules = parse_stereo(protocol)
        if rules.seen_only and OCCLUDED not in data.splits["test"].targets():
            raise DataError(
                f"protocol {protocol!r} leaves occluded pixels out, but data set {data.name!r} does not mark them (a "
                f"folder does with occlusion/ or KITTI's disp_noc_0/); {rules._replace(seen_only=False).protocol!r} "
                "needs no masks."
            )
