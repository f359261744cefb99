"""A fitted detector's cascade as OpenCV's XML: `python -m mlcvbench_viola_jones.export WEIGHTS FILE [CLASS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from mlcvbench.errors import MlcvbenchError, RecordError, RequestError
from mlcvbench.files.arrays import read_arrays
from mlcvbench_viola_jones.opencv_xml import write_xml
from mlcvbench_viola_jones.state import WANTED, cascades_of


def export(weights: Path, file: Path, label: int = 0) -> None:
    """Write the cascade of a class from `viola_jones.safetensors` of a run's weights.

    OpenCV accepts the windows of `model.search=image`. RecordError for other weights and a class without a cascade.
    """
    arrays = read_arrays(weights, WANTED)
    cascades = cascades_of(weights.name, arrays, len(arrays["stages"]))
    if not 0 <= label < len(cascades) or not cascades[label].stages:
        raise RecordError(f"{weights.name}: has no cascade of class {label}.")
    write_xml(cascades[label], file)


def main(words: list[str]) -> None:
    """Export what the command line names."""
    if len(words) not in (2, 3) or not all(word.isdecimal() for word in words[2:]):
        raise RequestError("wanted WEIGHTS FILE [CLASS], the class as a number from 0.")
    export(Path(words[0]), Path(words[1]), *(int(word) for word in words[2:]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MlcvbenchError as error:
        sys.exit(f"mlcvbench_viola_jones.export: {error}")
