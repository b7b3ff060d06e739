"""Frames: what stands together. Module calls, their backward parts, updates and kernels, nested as they were."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.ir import Node, Scope
from graphc.viz.fold import Operand
from graphc.viz.labels import shown
from graphc.viz.model import Box, Frame, FrameKind, Kind

__all__ = ["Frames", "Level", "counted", "frames_of", "levels_of", "plural"]

OPERATIONS = {Kind.OP, Kind.GRADIENT_OP, Kind.UPDATE_OP}


@dataclass(frozen=True)
class Level:
    """One frame on the way to a node: `key` says of what, `call` which use of it. `type_` is a module's class."""

    key: Hashable
    kind: FrameKind
    name: str
    type_: str = ""
    call: int = 0
    path: tuple[str, ...] | None = None
    """What the names of the cells inside begin with; None: the path of the frame around and `name`."""


def levels_of(scopes: Sequence[Scope], kind: FrameKind = FrameKind.MODULE) -> tuple[Level, ...]:
    """The levels of a node that these module calls built."""
    return tuple(Level((kind, scope.ident), kind, scope.name, scope.kind, scope.call) for scope in scopes)


@dataclass(frozen=True)
class Frames:
    """The frames, and the index of each by its key. Frames that are `alike` differ at most in names and contents."""

    frames: tuple[Frame, ...]
    paths: tuple[tuple[str, ...], ...]
    alike: tuple[Hashable, ...]
    index: Mapping[Hashable, int]

    def around(self, levels: Sequence[Level]) -> int | None:
        """The innermost frame of a node with these levels."""
        return next((self.index[level.key] for level in reversed(levels) if level.key in self.index), None)

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


def frames_of(operands: Mapping[Node, Sequence[Operand]], levels: Mapping[Node, Sequence[Level]]) -> Frames:
    """The frames of these nodes, without those that would only repeat the name of the op inside.

    A module that was called in several places stands inside the innermost module that all its calls have in common.
    """
    first: dict[Hashable, Level] = {}
    outer: dict[Hashable, list[Hashable]] = {}
    calls: dict[Hashable, set[int]] = {}
    inside: dict[Hashable, set[str]] = {}
    count: dict[Hashable, int] = {}
    numbers: dict[tuple[int, Hashable], int] = {}
    """Of each way inwards: what it goes on from, and the next frame. Each is looked at once: they can be very long."""
    for node in operands:
        held = {x.source.op.name for x in operands[node] if x.source is not None and x.source.op.cell is not None}
        path: list[Hashable] = []
        way = 0
        for level in levels.get(node, ()):
            key = level.key
            first.setdefault(key, level)
            if (way, key) not in numbers:
                numbers[way, key] = len(numbers) + 1
                around = set(path)
                outer[key] = [each for each in outer.get(key, path) if each in around]
            way = numbers[way, key]
            calls.setdefault(key, set()).add(level.call)
            inside.setdefault(key, set()).update(held, (node.op.name,))
            count[key] = count.get(key, 0) + 1
            path.append(key)
    rank = {key: i for i, key in enumerate(first)}
    kept: dict[Hashable, int] = {}
    frames: list[Frame] = []
    paths: list[tuple[str, ...]] = []
    alike: list[Hashable] = []
    for key, level in first.items():
        # A module can be inside another in one call and around it in the next: the one that was seen first is around.
        earlier = [kept[each] for each in outer[key] if rank[each] < rank[key] and each in kept]
        parent = earlier[-1] if earlier else None
        if _repeats_its_op(level, inside[key], count[key]):
            continue
        before = paths[parent] if parent is not None else ()
        path_names = level.path if level.path is not None else (*before, level.name)
        times = len(calls[key])
        kept[key] = len(frames)
        paths.append(path_names)
        alike.append((level.kind, level.type_))
        kind = FrameKind.SHARED if level.kind is FrameKind.MODULE and times > 1 else level.kind
        is_module = level.kind in (FrameKind.MODULE, FrameKind.BACKWARD)
        frames.append(
            Frame(
                _title(level),
                times,
                (_describe(level, path_names, times),),
                parent,
                kind,
                path=".".join(path_names) if is_module else "",
                type_=level.type_ if is_module else "",
                kernel=level.call if level.kind is FrameKind.KERNEL else None,
            )
        )
    return Frames(tuple(frames), tuple(paths), tuple(alike), kept)


def _repeats_its_op(level: Level, names: set[str], count: int) -> bool:
    """`LeakyReLU` is only another word for its one op, `leaky_relu`; a gradient of one op needs no frame either."""
    if level.kind is FrameKind.BACKWARD:
        return count == 1
    return level.kind is FrameKind.MODULE and {name.replace("_", "") for name in names} == {level.type_.lower()}


def counted(boxes: Sequence[Box], frames: Sequence[Frame], values: Mapping[int, int]) -> tuple[Frame, ...]:
    """The frames with their contents in words; `values` has the number of values of each parameter's box."""
    operations = [0] * len(frames)
    parameters = [0] * len(frames)
    kinds: list[set[Kind]] = [set() for _ in frames]
    for i, box in enumerate(boxes):
        if box.frame is not None:
            operations[box.frame] += box.kind in OPERATIONS
            parameters[box.frame] += values.get(i, 0)
            kinds[box.frame].add(box.kind)
    result = list(frames)
    for i, frame in reversed(list(enumerate(frames))):
        if frame.parent is not None:
            operations[frame.parent] += operations[i]
            parameters[frame.parent] += parameters[i]
            kinds[frame.parent] |= kinds[i]
        parts = [plural(operations[i], "operation")] if operations[i] else []
        parts += [plural(parameters[i], "parameter")] if parameters[i] else []
        result[i] = replace(frame, contents=", ".join(parts), parameters=parameters[i], closed=_closed(kinds[i]))
    return tuple(result)


def _closed(kinds: set[Kind]) -> Kind:
    """The colour of a closed frame says what it does: an update, only gradients, or anything."""
    if Kind.UPDATE_OP in kinds or Kind.UPDATE in kinds:
        return Kind.UPDATE_OP
    return Kind.GRADIENT_OP if kinds & OPERATIONS == {Kind.GRADIENT_OP} else Kind.GROUP


def plural(count: int, word: str) -> str:
    """`1 operation`, `1,275 parameters`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _title(level: Level) -> str:
    name, type_ = shown(level.name), shown(level.type_)
    if level.kind in (FrameKind.MODULE, FrameKind.BACKWARD):
        title = f"{name}: {type_}" if name and name.lower() != type_.lower() else type_
        return f"backward of {title}" if level.kind is FrameKind.BACKWARD else title
    return name


def _describe(level: Level, path: Sequence[str], times: int) -> str:
    if level.kind not in (FrameKind.MODULE, FrameKind.BACKWARD):
        return shown(level.name, None)
    called = f", called {times} times" if times > 1 else ""
    backward = "backward of " if level.kind is FrameKind.BACKWARD else ""
    return f"{backward}{shown('.'.join(path), None)}: {shown(level.type_, None)}{called}"
