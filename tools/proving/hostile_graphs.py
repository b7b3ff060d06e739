"""Graph files that mean harm: each is refused with its place, or is a legal graph, and nothing else happens.

A case makes some files from one of a few graphs that were saved: damaged bytes, damaged text, values and references
that do not belong there, names, sizes and nesting without measure. Each is written to a folder and loaded, in bounded
memory and time, under an audit hook that sees no code, import, process, socket or other file. What loads is verified,
saved again, printed, evaluated and drawn, and the program that `to_python` writes is run, which may only build the same
graph.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import gzip
import json
import math
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from graphc import CompileError, Graph, GraphFileError, InputError, State, dims
from graphc.backends.reference import evaluate
from graphc.ir.verify import verify
from graphc.runtime.signature import Signature
from graphc.viz.draw import contents
from graphc.viz.errors import DrawingError
from graphc.viz.request import Request
from tests.audit import Audit
from tests.hostile import NAMES
from tests.ir.structure import GRAPHS, structure, with_names
from tools.proving.proof import Proof

__all__ = ["PROOFS", "case"]

FILES = 10
"""That one case makes."""
MEMORY = 768 << 20
"""Bytes that loading a small file may take, of which torch and Python reserve most ahead."""
SECONDS = 20.0
"""Of the processor, for a file and all that is made of it."""
DRAWN = 100
"""Nodes of the largest graph that is drawn."""
EVALUATED = 1000
"""Nodes of the largest graph that is evaluated."""
LONG = 250
"""One case in so many has a text of a hundred million characters, or a chain of many nodes."""

Spoiler = Callable[[random.Random], str | bytes]


@functools.cache
def sources() -> tuple[Any, ...]:
    """Saved graphs, as JSON: of every kind of node, of training, of names."""
    graphs = [GRAPHS[name] for name in ("leaves", "sizes", "training-0-graph", "classes-4-cse")]
    return tuple(json.loads(graph.to_json()) for graph in (*graphs, with_names(NAMES[:40])))


def source(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(sources()))


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every value within `data`, as the object or list that holds it, and its key there."""
    found: list[tuple[Any, Any]] = []
    pending = [data]
    while pending:
        value = pending.pop()
        for key in value if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            if isinstance(value[key], (dict, list)):
                pending.append(value[key])
    return found


# What may be wrong with a value ---------------------------------------------------------------------------------------

ODD: list[Any] = [
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        2,
        3,
        64,
        2**31,
        2**62,
        2**63 - 1,
        2**63,
        -(2**63),
        2**64,
        10**30,
        10**400,
        1.5,
        -0.0,
    ),
    *("", "n", "nan", "inf", "-inf", "f32", "bool", "placeholder", "__class__", "0", "\ud800", "\0", "x" * 10_000),
    *(
        [],
        {},
        [[]],
        [{}],
        {"": {}},
        [[1, "n"]],
        [[2**62, "n"]],
        [[1, "n"], [1, "n"]],
        [[-1, "n"], [5]],
        [0, 1],
        ["f32", 2],
    ),
    *(["f32", 2**62], ["f32", 2**31, 2**31, 2**31], ["f64", *["n"] * 64], ["bool"], [["f32"]], [[2**40, *["n"] * 16]]),
    *({"__reduce__": ["os.system", ["id"]]}, {"py/object": "os.system"}, {"$ref": "#"}, {"__class__": "Node"}),
]
KEYS = ["__class__", "__reduce__", "__init__", "__dict__", "eval", "py/reduce", "$ref", "@type", "__proto__", "op", ""]
OPS = [
    "os.system",
    "__class__",
    "Tensor",
    "tanh.__class__",
    "sum ",
    "SUM",
    "\0sum",
    "sum\n",
    "eval",
    "op",
    "../sum",
    "\u202esum",
]
LITERALS = [
    "1e999999",
    "-1e999999",
    "1e-999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 5000,
    "0" * 50,
    "-0",
    "1.0",
    "1E400",
]
LITERALS += [
    "0x10",
    "1_000",
    "01",
    "+1",
    ".5",
    "1.",
    "--1",
    "٣",
    "1e",
    "true",
    "undefined",
    '"\\ud800"',
    '"\\u0000"',
    "'a'",
]


def one_value(chance: random.Random) -> str:
    """A value is another one, from elsewhere or odd, or is gone."""
    data = source(chance)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        found = places(data)
        holder, key = chance.choice(found)
        match chance.randrange(5):
            case 0:
                holder[key] = copy.deepcopy(chance.choice(ODD))
            case 1:
                other, where = chance.choice(found)
                holder[key] = copy.deepcopy(other[where])
            case 2:
                del holder[key]
            case 3 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case _ if isinstance(holder, dict):
                holder[chance.choice(KEYS)] = copy.deepcopy(chance.choice(ODD))
    return json.dumps(data)


def one_number(chance: random.Random) -> str:
    """A number is a little another one: references before, after and beyond, dimensions, sizes, idents."""
    data = source(chance)
    numbers = [(holder, key) for holder, key in places(data) if type(holder[key]) is int]
    for _ in range(chance.choice((1, 1, 2))):
        holder, key = chance.choice(numbers)
        holder[key] += chance.choice((-1, 1, 1, -2, 2, 7, -100, 10**6, 2**31, 2**62, -(2**63)))
    return json.dumps(data)


def one_attribute(chance: random.Random) -> str:
    """An attribute of an op is another one, and the type of the result may follow it."""
    data = source(chance)
    node = chance.choice([node for node in data["nodes"] if node.get("attributes")])
    holder, key = chance.choice(places(node["attributes"]))
    value = holder[key]
    if isinstance(value, list) and value and chance.random() < 0.5:
        holder[key] = chance.choices(value, k=chance.randint(0, len(value) + 1))
    elif type(value) is int:
        holder[key] = chance.choice((-value, value - 1, value + 1, -1, 0, 2**40))
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
    if chance.random() < 0.5:
        sizes = [(holder, k) for holder, k in places(node["type"]) if type(holder[k]) is int]
        if sizes:
            holder, key = chance.choice(sizes)
            holder[key] += chance.choice((-1, 1, 2))
    return json.dumps(data)


def one_literal(chance: random.Random) -> str:
    """A value is written as JSON does not have it, or as Python reads it and others do not."""
    data = source(chance)
    holder, key = chance.choice(places(data))
    holder[key] = "@here@"
    return json.dumps(data).replace('"@here@"', chance.choice(LITERALS), 1)


def one_name(chance: random.Random) -> str:
    """Texts are names that mean harm: of nodes, cells, modules, files, sizes, ops and passes."""
    data = source(chance)
    texts = [(holder, key) for holder, key in places(data) if isinstance(holder[key], str)]
    free = [(h, k) for h, k in texts if k in ("name", "label", "kind") or holder_is_files(data, h)]
    for _ in range(chance.choice((1, 3, 20))):
        holder, key = chance.choice(free if free and chance.random() < 0.8 else texts)
        holder[key] = chance.choice(OPS) if key == "op" else chance.choice(NAMES)
    return json.dumps(data, ensure_ascii=chance.random() < 0.9).encode("utf-8", "replace").decode()


def holder_is_files(data: Any, holder: Any) -> bool:
    return holder is data["files"]


def twice(chance: random.Random) -> str:
    """An object has a field twice."""
    text = json.dumps(source(chance))
    at = chance.choice([i for i, c in enumerate(text) if c == "{"])
    key = chance.choice(("op", "type", "name", "format", "version", "value", "ident", "__class__"))
    return f'{text[: at + 1]}"{key}": 1, "{key}": 2, {text[at + 1 :]}'


def nested(chance: random.Random) -> str:
    """Lists in lists, or objects in objects, deeper than anybody's stack."""
    data = source(chance)
    holder, key = chance.choice(places(data))
    holder[key] = "@here@"
    depth = chance.choice((10, 500, 990, 1500, 20_000, 200_000))
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}"), ("[{},", "]")))
    end = closing * depth if chance.random() < 0.7 else ""
    return json.dumps(data).replace('"@here@"', opening * depth + "1" + end, 1)


# What may be wrong with the text --------------------------------------------------------------------------------------


def pieces(chance: random.Random) -> str:
    """Pieces of the text are cut off, doubled, or come from elsewhere."""
    text = json.dumps(source(chance))
    for _ in range(chance.choice((1, 1, 3))):
        i, j = sorted(chance.randrange(len(text)) for _ in range(2))
        length = chance.choice((1, 1, 3, 20, 300))
        match chance.randrange(5):
            case 0:
                text = (
                    text[:i]
                    + chr(chance.choice((0, 9, 34, 44, 45, 48, 57, 91, 93, 123, 125, 955, 0x202E)))
                    + text[i + 1 :]
                )
            case 1:
                text = text[:i] + text[i + length :]
            case 2:
                text = text[:i] + text[j : j + length] + text[i:]
            case 3:
                text = text[:i] + text[j : j + length] + text[i + length :]
            case _:
                text = text[: i + 1]
    return text


def damaged_bytes(chance: random.Random) -> bytes:
    """Bits are flipped; the file is compressed, in another encoding, or something else altogether."""
    data = json.dumps(source(chance), ensure_ascii=False).encode("utf-8", "surrogatepass")
    match chance.randrange(8):
        case 0 | 1:
            found = bytearray(data)
            for _ in range(chance.choice((1, 1, 5, 50))):
                found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
            return bytes(found)
        case 2:
            return data.decode("utf-8", "replace").encode(
                chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig"))
            )
        case 3:
            return gzip.compress(data)
        case 4:
            return data[: chance.randrange(len(data))] + chance.choice(
                (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\0" * 99)
            )
        case 5:
            return data + chance.choice((b"\0", b"\n\n", b"{}", b"\xef\xbb\xbf", b"\x1a", b" " * 10**6))
        case 6:
            return chance.choice((b"PK\x03\x04", b"\x80\x04\x95", b"\x1f\x8b", b"\x7fELF", b"#!/bin/sh\n", b"")) + data
        case _:
            return chance.randbytes(chance.choice((0, 1, 2, 100, 10_000)))


# Graphs without measure -----------------------------------------------------------------------------------------------


def blank(nodes: list[dict[str, Any]], **sections: Any) -> str:
    """A file with an input `x` of one size, nodes that count on from it, and the last one as its output."""
    first = {
        "op": "placeholder",
        "attributes": {"label": "x", "type": ["f32", "n"]},
        "type": ["f32", "n"],
        "origin": {"ident": 0},
    }
    every = [first, *nodes]
    for i, node in enumerate(every):
        node.setdefault("origin", {"ident": i})
        node.setdefault("type", ["f32", "n"])
    whole: dict[str, Any] = {"format": "graphc graph", "version": 1, "name": "g", "files": [], "modules": []}
    whole |= {"cells": [], "constants": [], "nodes": every, "inputs": [0]}
    whole["outputs"] = [{"name": "y", "role": "output", "node": len(every) - 1}]
    return json.dumps(whole | sections)


def doubled(chance: random.Random) -> str:
    """Each node adds the one before to itself: written out as a tree it would have 2^n leaves."""
    return blank([{"op": "add", "inputs": [i, i]} for i in range(chance.randrange(20, 300))])


def wide(chance: random.Random) -> str:
    """One node with thousands of operands, legal or not."""
    count = chance.choice((100, 2000))
    op = chance.choice(("cat", "pack", "sum_of_rows", "add", "tanh", "where"))
    attributes = {"attributes": {"dim": 0}} if op == "cat" else {}
    return blank([{"op": op, "inputs": [0] * count, "type": ["f32", [[count, "n"]]], **attributes}])


def immense(chance: random.Random) -> str:
    """Cells, constants and results of sizes that no machine has."""
    size = chance.choice((2**20, 2**31, 2**40, 2**61, 2**62, 2**63 - 1))
    kind = chance.choice(("f64", "f32", "bool"))
    shape = [kind, *[size] * chance.choice((1, 1, 2))]
    role = chance.choice(("parameter", "slot", "random counter", "hyper"))
    cell = {"op": "cell_value", "attributes": {"cell": 0}, "type": shape}
    constant = {"op": "tensor_constant", "attributes": {"value": 0}, "type": shape}
    full = {"op": "full", "attributes": {"value": 1, "shape": shape[1:], "dtype": kind}, "type": shape}
    iota = {"op": "iota", "attributes": {"size": size}, "type": ["i64", size]}
    text = base64.b64encode(bytes(chance.choice((0, 3, 24)))).decode()
    return blank(
        [chance.choice((cell, constant, full, iota))],
        cells=[{"name": "w", "role": role, "type": shape}],
        constants=[{"type": shape, "base64": text}],
    )


def polynomials(chance: random.Random) -> str:
    """Sizes that are polynomials of many names, high powers and large numbers, multiplied by reshaping."""
    names = [f"n{k}" for k in range(chance.choice((1, 3, 40)))]

    def size() -> Any:
        terms = []
        for _ in range(chance.choice((1, 2, 10, 100))):
            number = chance.choice((1, -1, 2, 2**31, 2**62, 2**63 - 1))
            terms.append([number, *sorted(chance.choices(names, k=chance.choice((0, 1, 2, 16))))])
        return chance.choice((terms, names[0], chance.choice((0, 1, 2**62))))

    shape = [size() for _ in range(chance.choice((1, 2, 8, 60)))]
    first = {"op": "placeholder", "attributes": {"label": "a", "type": ["f32", *shape]}, "type": ["f32", *shape]}
    target = [size() for _ in range(chance.choice((0, 1, 3)))]
    op = chance.choice(("reshape", "broadcast"))
    nodes = [first, {"op": op, "inputs": [1], "attributes": {"shape": target}, "type": ["f32", *target]}]
    return blank(nodes, inputs=[0, 1])


def long_text(chance: random.Random) -> str:
    """A hundred million characters, as the name of something or as its number."""
    text = chance.choice(("x", "\\u0000", "é", "\\ud800", "<")) * 100_000_000
    field = chance.choice(('"name": "g"', '"label": "x"', '"name": "y"', '"op": "tanh"'))
    whole = blank([{"op": "tanh", "inputs": [0]}])
    return whole.replace(field, f'{field[: field.rindex(" ")]} "{text[:100_000_000]}"', 1)


def long_chain(chance: random.Random) -> str:
    """Many nodes, each of the one before."""
    return blank([{"op": "tanh", "inputs": [i]} for i in range(20_000)])


SPOILERS: list[Spoiler] = [
    *(
        one_value,
        one_value,
        one_value,
        one_number,
        one_number,
        one_attribute,
        one_attribute,
        one_attribute,
        one_literal,
        one_name,
        one_name,
        twice,
        nested,
    ),
    *(pieces, pieces, damaged_bytes, damaged_bytes, doubled, wide, immense, polynomials, polynomials),
]


# What may happen ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limited(nbytes: int) -> Iterator[None]:
    """In so much more memory than the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def load(path: Path, nbytes: int) -> Graph | None:
    """The graph of a file; None if it is refused as it should be."""
    with limited(MEMORY + 40 * nbytes), Audit(reads=[path]) as audit:
        try:
            graph = Graph.load(path)
        except GraphFileError as error:
            graph = None
            message = str(error)
    audit.check()
    if graph is None:
        assert message.startswith(f"{path}: "), message[:300]
        assert message.isprintable(), f"not one line of plain text: {message[:300]!r}"
        assert len(message) < len(str(path)) + 500, f"a message of {len(message)} characters"
    return graph


def look_at(graph: Graph) -> None:
    """Everything that is done with loaded graphs."""
    verify(graph)
    with Audit() as audit:
        text = graph.to_json()
        again = Graph.from_json(text)
        assert again.to_json() == text
        printed = str(graph)
        assert all(line.isprintable() for line in printed.splitlines()), "the printed graph has control characters"
        program = graph.to_python()
    audit.check()
    assert structure(again) == structure(graph)
    values = sum(int(cell.type.numel) for cell in graph.cells)
    if values < 1_000_000:
        with Audit(allowed=("compile", "exec")) as audit:
            namespace: dict[str, Any] = {}
            exec(compile(program, "to_python", "exec"), namespace)  # noqa: S102 - what it builds is what is looked at
        audit.check()
        assert structure(namespace["graph"]) == structure(graph)
    evaluate_small(graph)
    if len(graph.nodes) <= DRAWN:
        contents(GRAPHS["sizes"], ".json", Request())  # imports what drawing needs
        with Audit() as audit, contextlib.suppress(DrawingError):  # sizes may have to be chosen, for the caption
            for suffix in (".dot", ".mmd", ".json"):
                contents(graph, suffix, Request(depth=9))
        audit.check()


def evaluate_small(graph: Graph) -> None:
    """Where sizes of 3 fit and no value is large, each node has a value of its type."""
    sizes = dict.fromkeys(graph.symbols, 3)
    nodes = (*graph.inputs, *graph.nodes)
    shapes = {node: tuple(dims.evaluate(size, sizes) for size in node.type.shape) for node in nodes}
    if len(nodes) > EVALUATED or any(
        min(shape, default=0) < 0 or math.prod(shape) > 20_000 for shape in shapes.values()
    ):
        return
    arrays: list[torch.Tensor] = [torch.ones(shapes[x], dtype=x.type.dtype) for x in graph.inputs]
    try:
        bound = Signature.of(graph).bind(arrays)
    except (CompileError, InputError):  # no input has a size, or 3 does not fit
        return
    for node, value in evaluate(graph, arrays, bound, State(graph.cells)).items():
        assert tuple(value.shape) == shapes[node], f"{node.op} gives {tuple(value.shape)}, not {shapes[node]}"
        assert value.dtype is node.type.dtype, f"{node.op} gives {value.dtype}, not {node.type.dtype}"


def case(seed: int) -> Mapping[str, int]:
    """Some files, each of a kind of its own."""
    chance = random.Random(f"hostile graphs {seed}")
    kinds: list[Spoiler] = [chance.choice(SPOILERS) for _ in range(FILES)]
    if seed % LONG == 0:
        kinds.append(chance.choice((long_text, long_chain)))
    counts = {"files": 0, "refused": 0, "loaded": 0}
    sources()
    with tempfile.TemporaryDirectory(prefix="graphc-hostile-") as folder:
        for number, kind in enumerate(kinds):
            made = kind(chance)
            data = made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass")
            path = Path(folder, f"{number}.json")
            path.write_bytes(data)
            start = time.process_time()
            try:
                graph = load(path, len(data))
                if graph is not None and kind is not long_text:
                    look_at(graph)
            except Exception as error:
                error.add_note(f"file {number} of seed {seed}, {kind.__name__}: {data[:200]!r}")
                raise
            spent = time.process_time() - start
            assert spent < SECONDS, f"file {number} of seed {seed}, {kind.__name__}: {spent:.0f} s"
            counts["files"] += 1
            counts["refused" if graph is None else "loaded"] += 1
    return counts


PROOFS = (Proof("hostile-graphs", 9, "cases of ten files", full=150, quick=4, case=case),)
