"""Members of a zip file that are packed before they are written, so that several threads can do it."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""No date: equal content gives equal bytes."""
_UNIX = 3
_READABLE = 0o600 << 16
"""The mode of a member, as the zip module writes it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it lies in the file: its directory entry, complete but for its place, and its bytes."""

    info: zipfile.ZipInfo
    content: bytes


def deflated(name: str, content: bytes | memoryview, level: int) -> Member:
    """Return a member compressed at a zlib level from 1 to 9."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(content) + packer.flush()
    return _member(name, zipfile.ZIP_DEFLATED, content, packed)


def stored(name: str, content: bytes) -> Member:
    """Return a member that is not compressed."""
    return _member(name, zipfile.ZIP_STORED, content, content)


def _member(name: str, way: int, content: bytes | memoryview, packed: bytes) -> Member:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr, info.compress_type = _UNIX, _READABLE, way
    info.CRC, info.file_size, info.compress_size = zlib.crc32(content), len(content), len(packed)
    return Member(info, packed)


class MemberArchive(zipfile.ZipFile):
    """A zip file to write whose members are added as they are, in the bytes that `writestr` would give them."""

    def add(self, member: Member) -> None:
        """Append a member."""
        info, file = member.info, self.fp
        if file is None:
            raise ValueError("the archive is closed.")
        file.seek(self.start_dir)
        info.header_offset = file.tell()
        file.write(info.FileHeader())
        file.write(member.content)
        self.start_dir = file.tell()
        self.filelist.append(info)
        self.NameToInfo[info.filename] = info
