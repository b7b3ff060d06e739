"""A node: an op applied to other nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from graphc.ir.op import Op
from graphc.ir.origin import Origin
from graphc.types import TensorType

__all__ = ["Node"]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True, repr=False)
class Node:
    """Compared by identity; passes match it as `Node(op=Sum(dims=d), inputs=(x,))`."""

    op: Op
    inputs: tuple[Node, ...]
    type: TensorType
    origin: Origin

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Node:
        return self  # nodes never change; and a graph may be deeper than Python recurses

    def __reduce__(self) -> NoReturn:
        raise TypeError("graphs are not pickled, since loading a pickle runs code: Graph.save writes one as JSON")

    def __repr__(self) -> str:
        return f"<{self.op} : {self.type}>"
