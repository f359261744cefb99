"""Tiny PASCAL VOC folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Item = tuple[str, tuple[float, float, float, float], str]
"""Class, (xmin, ymin, xmax, ymax) and difficult."""


def annotation(objects: Sequence[Item], height: int = 50, width: int = 60) -> str:
    """Return the XML of one image."""
    parts = [
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2), difficult in objects
    ]
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(parts)}</annotation>"


def voc_folder(folder: Path, images: Mapping[str, str], listed: str = "test") -> Path:
    """Write a VOC folder with one list of all images and return its root."""
    root = folder / "VOC"
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in images.items():
        (root / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets" / "Main" / f"{listed}.txt").write_text("\n".join(images) + "\n", encoding="utf-8")
    return root
