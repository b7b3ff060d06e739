"""Where nodes come from, as JSON and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from graphc.ir.encoding import list_of, read_fields, read_index, read_int, read_text, refuse
from graphc.ir.node import Node
from graphc.ir.origin import Origin, Scope, next_ident, shown_path

__all__ = ["NODE", "WrittenOrigins", "read_origins"]

# Fields that are needed, and those that may be there.
NODE = ("op", "type", "origin"), ("inputs", "attributes")
ORIGIN = ("ident",), ("file", "line", "modules", "forward", "passes")


class WrittenOrigins:
    """What `files` and `modules` of a saved graph list, and from it the origin of each node.

    Idents are numbered in their order, so that what else was built does not show; nor does the folder of the files.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        origins = [node.origin for node in nodes]
        idents = _apart([origin.ident for origin in origins])
        idents |= {origin.forward for origin in origins if origin.forward is not None}
        self._idents = {ident: i for i, ident in enumerate(sorted(idents))}
        self.files: dict[str, int] = {}
        self._scopes: dict[Scope, int] = {}
        self._short = {file: shown_path(file) for file in {origin.file for origin in origins}}
        for origin in origins:
            if origin.file:
                self.files.setdefault(self._short[origin.file], len(self.files))
            for scope in origin.scopes:
                self._scopes.setdefault(scope, len(self._scopes))
        modules = {ident: i for i, ident in enumerate(sorted({scope.ident for scope in self._scopes}))}
        self.modules = [
            {"name": scope.name, "kind": scope.kind, "ident": modules[scope.ident], "call": scope.call}
            for scope in self._scopes
        ]

    def written(self, origin: Origin) -> dict[str, Any]:
        found: dict[str, Any] = {"ident": self._idents[origin.ident]}
        if origin.file:
            found["file"] = self.files[self._short[origin.file]]
            found["line"] = origin.line
        if origin.scopes:
            found["modules"] = [self._scopes[scope] for scope in origin.scopes]
        if origin.forward is not None:
            found["forward"] = self._idents[origin.forward]
        if origin.passes:
            found["passes"] = list(origin.passes)
        return found


def read_origins(entries: Mapping[str, list[Any]]) -> Callable[[Any, str], Origin]:
    """How the origin of a node is read. Its ident is a new one, since idents name nodes for good; the order stays."""
    files = [read_text(value, f"files[{i}]") for i, value in enumerate(entries["files"])]
    rows = []
    for i, value in enumerate(entries["modules"]):
        place = f"modules[{i}]"
        row = read_fields(value, place, ("name", "kind", "ident", "call"))
        read_text(row["name"], f"{place}.name")
        read_text(row["kind"], f"{place}.kind")
        read_int(row["ident"], f"{place}.ident", 0)
        read_int(row["call"], f"{place}.call", 0)
        rows.append(row)
    modules = _renewed(row["ident"] for row in rows)
    scopes = [Scope(row["name"], row["kind"], modules[row["ident"]], row["call"]) for row in rows]
    given: list[int] = []
    partners: list[int] = []
    for i, value in enumerate(entries["nodes"]):
        place = f"nodes[{i}]"
        origin = read_fields(read_fields(value, place, *NODE)["origin"], f"{place}.origin", *ORIGIN)
        given.append(read_int(origin["ident"], f"{place}.origin.ident", 0))
        if "forward" in origin:
            partners.append(read_int(origin["forward"], f"{place}.origin.forward", 0))
    idents = _renewed(_apart(given).union(partners))

    def read(value: Any, place: str) -> Origin:
        found = read_fields(value, place, *ORIGIN)
        file, line = "", 0
        if "file" in found or "line" in found:
            read_fields(found, place, ("ident", "file", "line"), ("modules", "forward", "passes"))
            file = files[read_index(found["file"], f"{place}.file", files, "files")]
            line = read_int(found["line"], f"{place}.line", 0)
        path = list_of(found.get("modules", []), f"{place}.modules")
        passes = list_of(found.get("passes", []), f"{place}.passes")
        return Origin(
            idents[found["ident"]],
            file,
            line,
            tuple([scopes[read_index(k, f"{place}.modules[{i}]", scopes, "modules")] for i, k in enumerate(path)]),
            idents[found["forward"]] if "forward" in found else None,
            tuple([read_text(each, f"{place}.passes[{i}]") for i, each in enumerate(passes)]),
        )

    return read


def _apart(idents: Sequence[int]) -> set[int]:
    """The idents of all nodes, which differ: passes tell nodes apart by them."""
    found: set[int] = set()
    for i, ident in enumerate(idents):
        if ident in found:
            refuse(f"nodes[{i}].origin.ident", f"{ident} is that of another node")
        found.add(ident)
    return found


def _renewed(idents: Iterable[int]) -> dict[int, int]:
    return {ident: next_ident() for ident in sorted(set(idents))}
