"""Pack the vendored scripts again with npm and compare them byte by byte: `tox -e vendor`."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[3] / "mlcvbench" / "leaderboard" / "site" / "vendor"


def packed(name: str, version: str, folder: Path) -> Path:
    """Return the tarball of an npm package."""
    done = subprocess.run(
        ["npm", "pack", f"{name}@{version}", "--silent"], cwd=folder, capture_output=True, text=True, check=True
    )
    return folder / done.stdout.split()[-1]


def differences(entry: dict[str, str], folder: Path) -> list[str]:
    """Return what differs between a vendored file and the package it came from."""
    tarball = packed(entry["name"], entry["version"], folder)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    ours = (VENDOR / entry["file"]).read_bytes()
    with tarfile.open(tarball) as archive:
        inside = [archive.extractfile(member) for member in archive if member.isfile() and member.name.endswith(".js")]
        same = any(file is not None and file.read() == ours for file in inside)
    found = [] if same else [f"{entry['file']}: no file of {entry['name']} {entry['version']} is equal to it"]
    if integrity != entry["integrity"]:
        found.append(f"{entry['name']} {entry['version']}: integrity {integrity}, wanted {entry['integrity']}")
    return found


def main() -> int:
    """Compare every vendored file; 1 when one differs."""
    listed = json.loads((VENDOR / "vendor.json").read_text())
    entries = listed if isinstance(listed, list) else listed["files"]
    with tempfile.TemporaryDirectory() as folder:
        found = [line for entry in entries for line in differences(entry, Path(folder))]
    for line in found:
        print(line)
    print(f"{len(entries)} vendored files, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
