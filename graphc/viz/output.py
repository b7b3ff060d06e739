"""From a drawing or a document to the bytes of a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from graphc.viz.collapse import visible
from graphc.viz.document import Document, Sheet, record_of
from graphc.viz.dot import dot_source
from graphc.viz.errors import DrawingError
from graphc.viz.layout import FORMATS, render
from graphc.viz.mermaid import mermaid_source
from graphc.viz.model import Drawing
from graphc.viz.page import page_of
from graphc.viz.request import Request

__all__ = ["DOCUMENTS", "PICTURES", "SUFFIXES", "encoded", "encoded_document", "rendered", "suffix_of", "write_bytes"]

PICTURES = tuple(f".{format}" for format in FORMATS)
DOCUMENTS = (".html", ".json")
SUFFIXES = (*PICTURES, ".dot", ".json", ".mmd", ".html")


def encoded(suffix: str, request: Request, drawing: Callable[[], Drawing], document: Callable[[], Document]) -> bytes:
    """The bytes of a file whose name ends with `suffix`: of a drawing as it is to be seen, or of a document.

    Raises DrawingError.
    """
    if suffix in DOCUMENTS:
        return encoded_document(suffix, request, document())
    if suffix == ".mmd":
        return mermaid_source(drawing(), request.direction, request.theme).encode()
    return rendered(dot_source(drawing(), request.direction, request.theme), suffix, request)


def encoded_document(suffix: str, request: Request, document: Document) -> bytes:
    """A document as a page, or as data, for which nothing is laid out. Raises DrawingError."""
    if suffix == ".html":
        return page_of(record_of(_with_pictures(document, request))).encode()
    return f"{json.dumps(record_of(document), indent=1)}\n".encode()


def _with_pictures(document: Document, request: Request) -> Document:
    """The document with its sheets drawn ahead; one that takes longer than `request.timeout` is left to the reader."""

    def picture(sheet: Sheet) -> Sheet:
        source = sheet.chart or dot_source(
            visible(sheet.drawing, sheet.open), request.direction, request.theme, legend=False
        )
        try:
            return replace(sheet, svg=render(source, "svg", request.timeout).decode())
        except DrawingError:
            return sheet

    with ThreadPoolExecutor(max_workers=2) as pool:
        return replace(document, sheets=tuple(pool.map(picture, document.sheets)))


def rendered(source: str, suffix: str, request: Request) -> bytes:
    """A picture of DOT text, or the text itself. Raises DrawingError."""
    for format in FORMATS:
        if suffix == f".{format}":
            return render(source, format, request.timeout)
    return source.encode()


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The ending that says which format to write. Raises DrawingError for one that is not known."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        what = f"{suffix!r} files" if suffix else "files without an ending"
        endings = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise DrawingError(f"cannot write {os.fspath(path)!r}: there are no {what}; the name ends with {endings}")
    return suffix


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Raises DrawingError where it cannot be written."""
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise DrawingError(f"cannot write {os.fspath(path)!r}: {error.strerror}") from None
