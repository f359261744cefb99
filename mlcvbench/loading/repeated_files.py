"""Test samples whose file is in another split too, byte for byte: a score on them says nothing of unseen images."""

from __future__ import annotations

from mlcvbench.contract import LoadedData, Notice


def repeated_files(data: LoadedData) -> list[Notice]:
    """Return a notice where files of the test split are files of another split as well.

    Only files whose digests were made for the fingerprint are compared, so that nothing is read for it.
    """
    test = data.splits["test"]
    others = {
        digest: f"{name}: {sample}"
        for name, split in data.splits.items()
        if name != "test"
        for digest, sample in zip(split.file_digests(), split.ids, strict=False)
    }
    found = [
        (str(sample), others[digest])
        for digest, sample in zip(test.file_digests(), test.ids, strict=False)
        if digest in others
    ]
    if not found:
        return []
    sample, other = found[0]
    text = (
        f"{len(found)} of {len(test)} test files are in another split too, such as {sample!r} ({other}); the score on "
        "them says nothing of unseen images."
    )
    return [Notice("test-files-in-training", text, len(found))]
