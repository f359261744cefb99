"""XML files of strangers: without document type or entities, bounded in bytes and in depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from mlcvbench.errors import DataError
from mlcvbench.limits import MAX_XML_DEPTH


def read_xml(path: Path, wanted: str, most: int) -> Element:
    """Return the root of an XML file without a document type: no entity is ever expanded.

    `wanted`: what the file should be, for messages; `most`: bytes. DataError, one line, for anything else.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if not path.is_file():
        raise DataError(f"{path}: no such file; wanted {wanted}.")
    size = path.stat().st_size
    if size > most:
        raise DataError(f"{path}: has {size} bytes; the most for {wanted} is {most}.")
    parser = DefusedXMLParser(target=_Shallow(), forbid_dtd=True)
    try:
        for block in _blocks(path):
            parser.feed(block)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: has a document type or an entity, which are refused ({type(error).__name__})."
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: is not XML ({error}).") from None
    return root


class _Shallow(TreeBuilder):
    """A tree of at most `MAX_XML_DEPTH` levels."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            raise ParseError(f"more than {MAX_XML_DEPTH} levels of elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 16):
            yield block
