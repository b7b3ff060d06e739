"""Module calls as frames: one frame a module, nested as the calls were, however often each was called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.ir import Node, Scope
from graphc.viz.fold import Operand
from graphc.viz.labels import shown
from graphc.viz.model import Frame

__all__ = ["Frames", "frames_of"]


@dataclass(frozen=True)
class Frames:
    """The frames, and for each module (by ident) the index of its own."""

    frames: tuple[Frame, ...]
    paths: tuple[tuple[str, ...], ...]
    index: Mapping[int, int]

    def around(self, scopes: Sequence[Scope]) -> int | None:
        """The innermost frame of a node with these scopes."""
        return next((self.index[scope.ident] for scope in reversed(scopes) if scope.ident in self.index), None)

    def around_all(self, inner: Iterable[int | None]) -> int | None:
        """The innermost frame that contains all of `inner`."""
        chains = [self._chain(frame) for frame in dict.fromkeys(inner)]
        if not chains:
            return None
        shared = set(chains[0]).intersection(*chains[1:])
        return next((frame for frame in chains[0] if frame in shared), None)

    def _chain(self, frame: int | None) -> list[int]:
        """A frame and those around it, innermost first."""
        chain = []
        while frame is not None:
            chain.append(frame)
            frame = self.frames[frame].parent
        return chain


def frames_of(operands: Mapping[Node, Sequence[Operand]]) -> Frames:
    """The frames of the modules that built these nodes, without those that would only repeat the name of the op inside.

    A module that was called in several places stands inside the innermost module that all its calls have in common.
    """
    scopes: dict[int, Scope] = {}
    outer: dict[int, list[int]] = {}
    calls: dict[int, set[int]] = {}
    inside: dict[int, set[str]] = {}
    for node in operands:
        held = {x.source.op.name for x in operands[node] if x.source is not None and x.source.op.cell is not None}
        path: list[int] = []
        for scope in node.origin.scopes:
            scopes.setdefault(scope.ident, scope)
            around = set(path)
            known = outer.setdefault(scope.ident, list(path))
            outer[scope.ident] = [ident for ident in known if ident in around]
            calls.setdefault(scope.ident, set()).add(scope.call)
            if node.origin.forward is None:
                inside.setdefault(scope.ident, set()).update(held, (node.op.name,))
            path.append(scope.ident)
    rank = {ident: i for i, ident in enumerate(scopes)}
    kept: dict[int, int] = {}
    frames: list[Frame] = []
    paths: list[tuple[str, ...]] = []
    for ident, scope in scopes.items():
        # A module can be inside another in one call and around it in the next: the one that was seen first is around.
        earlier = [kept[each] for each in outer[ident] if rank[each] < rank[ident] and each in kept]
        parent = earlier[-1] if earlier else None
        # `LeakyReLU` is only another word for its one op, `leaky_relu`.
        if {name.replace("_", "") for name in inside.get(ident, ())} == {scope.kind.lower()}:
            continue
        path_names = (*(paths[parent] if parent is not None else ()), scope.name)
        times = len(calls[ident])
        kept[ident] = len(frames)
        paths.append(path_names)
        frames.append(Frame(_title(scope), times, (_describe(scope, path_names, times),), parent))
    return Frames(tuple(frames), tuple(paths), kept)


def _title(scope: Scope) -> str:
    name, kind = shown(scope.name), shown(scope.kind)
    return f"{name}: {kind}" if name and name.lower() != kind.lower() else kind


def _describe(scope: Scope, path: Sequence[str], times: int) -> str:
    called = f", called {times} times" if times > 1 else ""
    return f"{shown('.'.join(path), None)}: {shown(scope.kind, None)}{called}"
