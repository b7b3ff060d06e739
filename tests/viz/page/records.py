"""Records of drawings, made by hand, in the form that a page takes."""

from __future__ import annotations

import functools
from typing import Any

from graphc.viz.layout import render

Json = dict[str, Any]

STYLES = {
    "input": 'shape=box style="filled,rounded" color="#0072B2" fillcolor="#D3E8F6"',
    "parameter": 'shape=cylinder style=filled color="#E69F00" fillcolor="#FDF1D6"',
    "op": 'shape=box style="filled,rounded" color="#5F6B76" fillcolor="#FFFFFF"',
    "gradient_op": 'shape=box style="filled,rounded" color="#CC79A7" fillcolor="#F9E9F2"',
    "output": 'shape=box style="filled,rounded" color="#0072B2" fillcolor="#0072B2" fontcolor="#FFFFFF"',
    "gradient": 'shape=box style="filled,rounded" color="#9C3F76" fillcolor="#9C3F76" fontcolor="#FFFFFF"',
}
FRAME = 'style="filled,rounded" color="#A9B4BF" fillcolor="#F4F6F8" labeljust=l margin=10'
GRAPH = (
    'graph [rankdir=TB, bgcolor=white, fontname="Helvetica,Arial,sans-serif", fontsize=12, newrank=true]; '
    'node [fontname="Helvetica,Arial,sans-serif", fontsize=12, height=0.36, margin="0.12,0.06"]; '
    'edge [fontname="Helvetica,Arial,sans-serif", fontsize=10, color="#4A4A4A", arrowsize=0.7]'
)


def quoted(*lines: str, backslash: str = "\\\\") -> str:
    """Lines as a DOT string that is nothing but text."""
    escaped = (each.replace("&", "&amp;").replace("\\", backslash).replace('"', '\\"') for each in lines)
    return '"' + "\\n".join(escaped) + '"'


def quoted_tooltip(*lines: str) -> str:
    return quoted(*lines, backslash="\\\\\\\\")


def box(kind: str, *lines: str, frame: int | None = None, nodes: tuple[int, ...] = (), like: int | None = None) -> Json:
    dot = f"label={quoted(*lines)} tooltip={quoted_tooltip('about ' + lines[0])} {STYLES[kind]}"
    return {
        "kind": kind,
        "lines": list(lines),
        "tooltip": [f"about {lines[0]}"],
        "frame": frame,
        "nodes": list(nodes),
        "like": like,
        "change": None,
        "dot": dot,
    }


def arrow(tail: int, head: int, label: str = "", mark: str = "") -> Json:
    text = ": ".join(part for part in (mark, label) if part)
    dot = f"label={quoted(f' {text} ' if text else '')}"
    return {"tail": tail, "head": head, "label": label, "mark": mark, "tooltip": [label], "change": None, "dot": dot}


def frame(title: str, parent: int | None = None, kind: str = "module", is_open: bool = True, **others: Any) -> Json:
    contents = str(others.pop("contents", "some boxes"))
    return {
        "kind": kind,
        "title": title,
        "calls": 1,
        "times": 1,
        "parent": parent,
        "open": is_open,
        "contents": contents,
        "tooltip": [f"module {title}"],
        "kernel": None,
        "change": None,
        "dot": f"label={quoted(title)} tooltip={quoted_tooltip('module ' + title)} {FRAME}",
        "closed": f"label={quoted(title, contents)} {STYLES['op']}",
        **others,
    }


def view(name: str, boxes: list[Json], arrows: list[Json], frames: list[Json], is_drawn: bool = True) -> Json:
    made = {
        "name": name,
        "title": name.capitalize(),
        "caption": [f"what {name} says"],
        "boxes": boxes,
        "arrows": arrows,
        "frames": frames,
        "legend": [
            {"of": "box", "kind": kind, "text": kind.replace("_", " ")}
            for kind in dict.fromkeys(b["kind"] for b in boxes)
        ],
        "graph": GRAPH,
        "svg": None,
    }
    if is_drawn:
        made["svg"] = svg_of(open_dot(made))
    return made


@functools.cache
def svg_of(source: str) -> str:
    return render(source, "svg").decode()


def open_dot(made: Json) -> str:
    """The DOT of a view all of whose frames are open."""
    inside: dict[int | None, list[str]] = {}
    for i, each in enumerate(made["boxes"]):
        inside.setdefault(each["frame"], []).append(f'n{i} [{each["dot"]} id="n{i}"];')
    for i, each in reversed(list(enumerate(made["frames"]))):
        body = "\n".join(inside.get(i, []))
        part = f'subgraph cluster_{i} {{ graph [{each["dot"]} id="f{i}"];\n{body}\n}}'
        inside.setdefault(each["parent"], []).append(part)
    arrows = (f'n{a["tail"]} -> n{a["head"]} [{a["dot"]} id="e{i}"];' for i, a in enumerate(made["arrows"]))
    return "\n".join(["digraph {", made["graph"], *inside.get(None, []), *arrows, "}"])


def node(label: str, module: str = "", where: str = "model.py:12", partner: int | None = None, **names: str) -> Json:
    return {
        "label": label,
        "type": "f32[batch,25]",
        "where": where,
        "module": module,
        "forward": partner,
        "names": names,
    }


def record(views: list[Json], nodes: list[Json], **others: Any) -> Json:
    return {
        "format": "graphc-drawing",
        "version": 1,
        "name": "train",
        "direction": "TB",
        "summary": ["851 parameters", "12 kernels"],
        "nodes": nodes,
        "views": views,
        "code": [],
        "overlays": [],
        "passes": None,
        **others,
    }


NODES = [
    node("x", forward="%0"),
    node("weight", "net.0", forward="%1"),
    node("x @ y", "net.0", "model.py:12", forward="%2", kernels="%4"),
    node("tanh", "net.1", "model.py:13", forward="%3", kernels="%9"),
    node("mean", "", "model.py:20", forward="%5"),
    node("× (1 − y²)", "net.1", "model.py:13", partner=3, backward="%11"),
    node("xᵀ @ y", "net.0", "model.py:12", partner=2, backward="%12"),
    node("d weight", "net.0", "model.py:12", backward="%13"),
]
SOURCE = "".join(f"/* line {i} */ void k{i}(const float *p0) {{ return; }}\n" for i in range(1, 201))
PLAN = "".join(f"v{i} = torch.tanh(v{i - 1})  # line {i}\n" for i in range(1, 61))


def training() -> Json:
    """A layer and its gradient: forward with two modules, one in the other, backward, and two kernels."""
    forward = view(
        "forward",
        [
            box("input", "x", nodes=(0,)),
            box("parameter", "weight", "[25, 3]", frame=1, nodes=(1,)),
            box("op", "x @ y", frame=1, nodes=(2,)),
            box("op", "tanh", frame=0, nodes=(3,)),
            box("output", "mean", nodes=(4,)),
        ],
        [arrow(0, 2, "[batch, 3]", "x"), arrow(1, 2, "[25, 3]", "y"), arrow(2, 3, "[batch, 25]"), arrow(3, 4)],
        [frame("net: Sequential"), frame("0: Linear", 0)],
    )
    backward = view(
        "backward",
        [
            box("op", "tanh", nodes=(3,)),
            box("gradient_op", "× (1 − y²)", frame=0, nodes=(5,)),
            box("gradient_op", "xᵀ @ y", frame=1, nodes=(6,)),
            box("gradient", "d weight", nodes=(7,)),
        ],
        [arrow(0, 1), arrow(1, 2, "[batch, 25]"), arrow(2, 3, "[25, 3]")],
        [frame("net: Sequential", kind="backward"), frame("0: Linear", 0, "backward")],
    )
    kernels = view(
        "kernels",
        [
            box("input", "x", nodes=(0,)),
            box("op", "x @ y", frame=0, nodes=(2,)),
            box("op", "tanh", frame=0, nodes=(3,)),
            box("output", "mean", frame=1, nodes=(4,)),
        ],
        [arrow(0, 1), arrow(1, 2), arrow(2, 3)],
        [frame("kernel 3", kind="kernel", kernel=3, is_open=False), frame("kernel 4", kind="kernel", kernel=4)],
        is_drawn=False,
    )
    rect = '<rect id="s0" x="10" y="10" width="80" height="20" fill="#56B4E9"/>'
    chart = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 80">{rect}</svg>'
    memory = {"name": "memory", "title": "Memory", "svg": chart, "static": True, "marks": {"s0": [3]}}
    code = [
        {"title": "Plan", "language": "python", "text": PLAN, "kernels": {}, "nodes": {"2": [[4, 4]]}},
        {
            "title": "C",
            "language": "c",
            "text": SOURCE,
            "kernels": {"3": [[120, 141]], "4": [[150, 160]]},
            "nodes": {"3": [[120, 124], [130, 131]]},
        },
    ]
    flops = {
        "name": "flops",
        "title": "FLOPs",
        "unit": "flop",
        "nodes": {"2": {"text": "1.2 kflop", "share": 1.0}, "3": {"text": "300 flop", "share": 0.25}},
        "kernels": {"3": {"text": "1.5 kflop", "share": 1.0}},
        "rows": [
            {
                "what": "%2 x @ y",
                "module": "net.0",
                "where": "model.py:12",
                "value": "1.2 kflop",
                "share": 0.8,
                "text": "",
                "nodes": [2],
            },
            {
                "what": "%3 tanh",
                "module": "net.1",
                "where": "model.py:13",
                "value": "300 flop",
                "share": 0.2,
                "text": "",
                "nodes": [3],
            },
        ],
        "notes": ["batch = 32"],
    }
    passes = [
        {
            "name": "cse",
            "seconds": 0.001,
            "nodes": [40, 35],
            "added": 0,
            "removed": 5,
            "rewritten": 7,
            "rules": {"equal": 49},
        }
    ]
    return record([forward, backward, kernels, memory], NODES, code=code, overlays=[flops], passes=passes)


def repeated(times: int = 6) -> Json:
    """A block of two modules, again and again: the boxes of later repetitions are like those of the first."""
    boxes = [box("input", "x", nodes=(0,))]
    frames = [frame(f"×{times}", kind="repeat", times=times)]
    arrows = []
    for k in range(times):
        frames.append(frame(f"{k}: Linear", 0))
        first = len(boxes)
        for j, label in enumerate(("weight", "x @ y", "tanh")):
            kind = "parameter" if label == "weight" else "op"
            like = None if k == 0 else 1 + j
            boxes.append(box(kind, label, frame=k + 1, nodes=(first + j,), like=like))
        arrows += [arrow(first - 1, first + 1), arrow(first, first + 1), arrow(first + 1, first + 2)]
    boxes.append(box("output", "y", nodes=(len(boxes),)))
    arrows.append(arrow(len(boxes) - 2, len(boxes) - 1))
    nodes = [node(each["lines"][0], f"net.{(i - 1) // 3}") for i, each in enumerate(boxes)]
    return record([view("forward", boxes, arrows, frames, is_drawn=False)], nodes)


def large(modules: int = 100, blocks: int = 10, size: int = 10) -> Json:
    """A chain of modules of modules of boxes, all open and not drawn."""
    boxes, frames, arrows = [], [], []
    for m in range(modules):
        outer = len(frames)
        frames.append(frame(f"layer{m}"))
        for b in range(blocks):
            frames.append(frame(f"block{b}", outer))
            for k in range(size):
                i = len(boxes)
                boxes.append(box("op", f"op{m}_{b}_{k}", frame=len(frames) - 1, nodes=(i,)))
                if i:
                    arrows.append(arrow(i - 1, i, "[batch, 25]"))
    nodes = [node(each["lines"][0], f"layer{i // (blocks * size)}") for i, each in enumerate(boxes)]
    return record([view("forward", boxes, arrows, frames, is_drawn=False)], nodes)
