"""Files from anywhere: each fault is one line that names the file and the place, and loading never runs anything."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import graphc
from graphc import Graph, GraphFileError
from graphc.ir import OPS, apply
from graphc.ir.file import LARGEST_FILE
from graphc.ir.verify import verify
from tests.ir.structure import GRAPHS
from tests.judge import graph_of


def small() -> Graph:
    """What the faults are put into."""
    x, y = graphc.placeholder("x", ("n", 3)), graphc.placeholder("y", (3, 2))
    table = graphc.constant(torch.tensor([1.0, 2.0]))
    weight = graphc.Parameter(torch.zeros(2), name="weight")
    rate = graphc.Variable(torch.tensor(0.5), name="rate", role=graphc.ir.Role.HYPER)
    mask = apply(OPS["dropout"](0.5, weight.cell), x @ y)  # type: ignore[call-arg]  # the op behind the name
    number = graphc.constant(3)
    parts = [number, mask.sum(0), (x @ y)[:, :1], (x @ y).mT, (x @ y).softmax(1), graphc.cat([table, table]), table**3]
    return graph_of([*parts, weight * rate, x.clamp(0.0), x.double()], [x, y], {weight: weight * table})


GOOD = json.loads(small().to_json())


def where(op: str) -> int:
    """The number of the first node with this op."""
    return next(i for i, node in enumerate(GOOD["nodes"]) if node["op"] == op)


def changed(*path: Any, to: Any) -> str:
    """The text of the good graph with one value changed, or taken away if it is `...`."""
    data = copy.deepcopy(GOOD)
    place = data
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(data)


def node(op: str, *path: Any, to: Any) -> str:
    return changed("nodes", where(op), *path, to=to)


def attribute(op: str, name: str, to: Any) -> str:
    return node(op, "attributes", name, to=to)


def at(op: str, place: str = "") -> str:
    return f"nodes[{where(op)}]{place}"


X, SUM, MATMUL, SLICE = where("placeholder"), where("sum"), where("matmul"), where("slice")
TEXT = json.dumps(GOOD)

FAULTS: list[tuple[str, str]] = [
    # Not such a file.
    ("", "line 1, column 1: is not JSON: Expecting value"),
    ("not a graph", "line 1, column 1: is not JSON: Expecting value"),
    (TEXT[: len(TEXT) // 2], "line 1, column"),
    (TEXT + "x", f"line 1, column {len(TEXT) + 1}: is not JSON: Extra data"),
    ("[]", 'is not a saved graph: it does not say "format": "graphc graph"'),
    ("{}", 'is not a saved graph: it does not say "format": "graphc graph"'),
    (changed("format", to="torch graph"), "is not a saved graph"),
    (changed("version", to=2), "has version 2, which a newer graphc wrote; this one reads version 1. Update graphc"),
    (changed("version", to=0), "has version 0, and this graphc reads version 1"),
    (changed("version", to=True), "has version True"),
    (changed("version", to=...), "has version None"),
    ("[" * 100_000, "is nested too deeply"),
    ('{"a":' * 100_000, "is nested too deeply"),
    ("9" * 5000, "has a number of too many digits"),
    ('{"format": NaN}', "NaN is not JSON: numbers that are not finite are quoted"),
    ('{"version": 1, "version": 1}', "an object has 'version' twice"),
    # Fields.
    (changed("outputs", to=...), "the file: has no 'outputs'"),
    (changed("code", to="import os"), "the file: has 'code', which means nothing there"),
    (changed("nodes", to={}), "nodes: is an object, not a list"),
    (changed("name", to=3), "name: is 3, not a text"),
    (changed("nodes", 3, to="tanh"), "nodes[3]: is 'tanh', not an object"),
    (node("sum", "op", to=...), at("sum", ": has no 'op'")),
    (node("sum", "attributes", to=...), at("sum", ".attributes: has no 'dims'")),
    (node("sum", "attributes", "eval", to="os.abort()"), at("sum", ".attributes: has 'eval', which means nothing")),
    (node("sum", "attributes", to=[]), at("sum", ".attributes: is a list of 0, not an object")),
    # Ops.
    (node("sum", "op", to="os.system"), at("sum", ".op: 'os.system' is not an op")),
    (node("sum", "op", to="__class__"), at("sum", ".op: '__class__' is not an op")),
    (node("sum", "op", to=["sum"]), at("sum", ".op: is a list of 1, not a text")),
    (node("sum", "op", to="mean\n"), at("sum", r".op: 'mean\n' is not an op")),
    # Operands.
    (node("matmul", "inputs", to=[0, 99]), at("matmul", ".inputs[1]: 99 is not the number of a node before this one")),
    (node("matmul", "inputs", to=[0, MATMUL]), at("matmul", f".inputs[1]: {MATMUL} is not the number of a node")),
    (node("matmul", "inputs", to=[-1, 1]), at("matmul", ".inputs[0]: -1 is not the number of a node")),
    (node("matmul", "inputs", to=[True, 1]), at("matmul", ".inputs[0]: True is not the number of a node")),
    (node("matmul", "inputs", to="01"), at("matmul", ".inputs: is '01', not a list")),
    (node("matmul", "inputs", to=[0]), at("matmul", ": infer fails: TypeError: ")),
    (node("matmul", "inputs", to=[1, 0]), at("matmul", ": infer fails: ShapeError: cannot decide whether 2 == n")),
    # Attributes.
    (attribute("sum", "dims", [7]), at("sum", ".attributes.dims: (7,) are not dimensions of a tensor that has 2")),
    (attribute("sum", "dims", [-2]), at("sum", ".attributes.dims: (-2,) are not dimensions")),
    (attribute("sum", "dims", [0, 0]), at("sum", ".attributes.dims: (0, 0) are not dimensions")),
    (attribute("sum", "dims", [0.0]), at("sum", ".attributes.dims[0]: is 0.0, not an integer")),
    (attribute("sum", "dims", [False]), at("sum", ".attributes.dims[0]: is False, not an integer")),
    (attribute("sum", "dims", 0), at("sum", ".attributes.dims: is 0, not a list")),
    (attribute("sum", "dims", [0] * 99), at("sum", ".attributes.dims: has 99 entries, more than 64")),
    (attribute("sum", "dims", [10**400]), at("sum", ".attributes.dims[0]: a huge integer is not between")),
    (attribute("permute", "dims", [0, 0]), at("permute", ".attributes.dims: (0, 0) are not dimensions")),
    (attribute("softmax", "dim", 5), at("softmax", ".attributes.dim: 5 is not one of 2 dimensions")),
    (attribute("cat", "dim", -1), at("cat", ".attributes.dim: -1 is not one of 1 dimensions")),
    (attribute("slice", "length", 9), at("slice", ": has type f32[n,1], but infer says f32[n,9]")),
    (attribute("slice", "step", 0), at("slice", ".attributes.step: 0 is not between 1 and")),
    (attribute("slice", "start", -1), at("slice", ": takes elements that its operand does not have")),
    (attribute("dropout", "p", 1.5), at("dropout", ".attributes.p: 1.5 is not between 0 and 1")),
    (attribute("dropout", "p", "nan"), at("dropout", ".attributes.p: nan is not between 0 and 1")),
    (attribute("dropout", "source", 9), at("dropout", ".attributes.source: 9 is not one of the 2 cells")),
    (attribute("clamp", "min", "0"), at("clamp", ".attributes.min: is '0', not a number")),
    (attribute("clamp", "max", 10**400), at("clamp", ".attributes.max: a huge integer is not between")),
    (
        TEXT.replace('"exponent": 3', '"exponent": 1e999'),
        at("pow_number", ".attributes.exponent: is a number beyond"),
    ),
    (attribute("clamp", "max", []), at("clamp", ".attributes.max: is a list of 0, not a number")),
    (attribute("cast", "dtype", "torch.float64"), at("cast", ".attributes.dtype: 'torch.float64' is not a dtype")),
    (attribute("constant", "value", "nan"), at("constant", ".attributes.value: nan is no i64")),
    (attribute("constant", "value", 2**70), at("constant", ".attributes.value: 1180591620717411303424 is not between")),
    (attribute("constant", "dtype", "u8"), at("constant", ": has type i64[], but infer says u8[]")),
    (attribute("placeholder", "label", None), at("placeholder", ".attributes.label: is None, not a text")),
    (attribute("tensor_constant", "value", -1), at("tensor_constant", ".attributes.value: -1 is not one of the 1 ")),
    # Sizes and types.
    (node("sum", "type", to=["f32", 3]), at("sum", ": has type f32[3], but infer says f32[2]")),
    (node("sum", "type", to=["f64", 2]), at("sum", ": has type f64[2], but infer says f32[2]")),
    (node("sum", "type", to=[]), at("sum", ".type: is an empty list")),
    (node("sum", "type", to=[2, 2]), at("sum", ".type: 2 is not a dtype, which are f32, f64")),
    (node("sum", "type", to=["f32", -2]), at("sum", ".type: f32[-2] has a size below 0")),
    (node("sum", "type", to=["f32", 2**63]), at("sum", ".type[0]: 9223372036854775808 is not between")),
    (node("sum", "type", to=["f32", 2**40, 2**40]), at("sum", ".type: is a tensor that no memory holds")),
    (node("sum", "type", to=["f32"] + [1] * 65), at("sum", ".type: has 65 sizes, more than 64")),
    (node("sum", "type", to=["f32", "n m"]), at("sum", ".type[0]: a size is an integer, a polynomial or a name")),
    (node("sum", "type", to=["f32", "n" * 2000]), at("sum", ".type[0]: a size is an integer, a polynomial or a name")),
    (node("sum", "type", to=["f32", [[1, "n"]]]), at("sum", ".type[0]: is a polynomial that is not in normal form")),
    (node("sum", "type", to=["f32", [[1, "b", "a"], [1]]]), at("sum", ".type[0]: is a polynomial that is not in")),
    (node("sum", "type", to=["f32", [[2]]]), at("sum", ".type[0]: is a polynomial that is not in normal form")),
    (node("sum", "type", to=["f32", [[]]]), at("sum", ".type[0]: a term is a list of a number and up to 16 names")),
    (node("sum", "type", to=["f32", [[1] + ["n"] * 17]]), at("sum", ".type[0]: a term is a list of a number and")),
    (node("sum", "type", to=["f32", [["n", 2]]]), at("sum", ".type[0]: is 'n', not an integer")),
    (node("sum", "type", to=["f32", [[1, f"n{k}"] for k in range(101)]]), at("sum", ".type[0]: has 101 terms")),
    (
        node("sum", "type", to=["f32", *([[[1, f"a{k}"], [1, f"b{k}"]] for k in range(7)])]),
        at("sum", ".type: the product of the sizes has more than 100 terms"),
    ),
    # Origins.
    (node("sum", "origin", to={}), at("sum", ".origin: has no 'ident'")),
    (node("sum", "origin", "ident", to="0"), at("sum", ".origin.ident: is '0', not an integer")),
    (node("sum", "origin", "ident", to=GOOD["nodes"][0]["origin"]["ident"]), at("sum", ".origin.ident: 0 is that of")),
    (node("sum", "origin", "file", to=7), at("sum", ".origin.file: 7 is not one of the 1 files")),
    (node("sum", "origin", "line", to=...), at("sum", ".origin: has no 'line'")),
    (node("sum", "origin", "modules", to=[0]), at("sum", ".origin.modules[0]: 0 is not one of the 0 modules")),
    (node("sum", "origin", "passes", to=[1]), at("sum", ".origin.passes[0]: is 1, not a text")),
    (changed("modules", to=[{"name": "", "kind": "", "ident": -1, "call": 0}]), "modules[0].ident: -1 is not between"),
    (changed("files", to=[None]), "files[0]: is None, not a text"),
    # Cells and constants.
    (changed("cells", 0, "role", to="root"), "cells[0].role: is 'root', not one of 'parameter', 'slot', 'hyper',"),
    (changed("cells", 0, "type", to=["f32", "n"]), "cells[0].type: f32[n] has values, and its sizes are no numbers"),
    (changed("cells", 0, "value", to=1.0), "cells[0]: a number that is a hyper-parameter has a value, and no other"),
    (changed("cells", 1, "value", to=...), "cells[1]: a number that is a hyper-parameter has a value, and no other"),
    (changed("cells", 1, "value", to=0.1), "cells[1].value: 0.1 is not exactly one of f32[]"),
    (changed("constants", 0, "base64", to="AAAA"), "constants[0].base64: 4 characters are not the 8 bytes of f32[2]"),
    (changed("constants", 0, "base64", to="AAAAAAAA!AA="), "constants[0].base64: is not base64"),
    (changed("constants", 0, "base64", to="é" * 12), "constants[0].base64: is not base64"),
    (changed("constants", 0, "base64", to="AAAAAAAAAAAA"), "constants[0].base64: 9 bytes are not the 8 of f32[2]"),
    (changed("constants", 0, "type", to=["f32", 10**9]), "constants[0].base64: 12 characters are not the 4000000000"),
    (changed("constants", 0, "type", to=["f32", "n"]), "constants[0].type: f32[n] has values, and its sizes are no"),
    (
        changed("constants", 0, to={"type": ["bool", 3], "base64": "AAEC"}),
        "constants[0].base64: a boolean is the byte 0 or 1",
    ),
    # Inputs and outputs.
    (changed("inputs", to=[0, 99]), "inputs[1]: 99 is not one of the"),
    (changed("inputs", to=[0, MATMUL]), f"inputs[1]: node {MATMUL} is matmul, not a placeholder"),
    (changed("inputs", to=[0, 0]), "inputs[1]: node 0 is listed twice"),
    (changed("inputs", to=[0]), "nodes[1]: a placeholder that is not an input of the graph"),
    (changed("outputs", 0, "node", to=-1), "outputs[0].node: -1 is not one of the"),
    (changed("outputs", 0, "role", to="update"), "outputs[0]: an update has a cell, and no other output"),
    (changed("outputs", -1, "cell", to=1), "the graph: an update of <hyper 'rate' f32[]> that has type f32[2]"),
    (changed("outputs", -1, "cell", to=2), "cell: 2 is not one of the 2 cells"),
    (changed("outputs", to=GOOD["outputs"] + GOOD["outputs"][-1:]), "<parameter 'weight' f32[2]> is updated twice"),
    (changed("outputs", 1, to=GOOD["outputs"][0]), at("sum", ": is neither read nor an output")),
]


def test_the_good_graph_is_good() -> None:
    verify(Graph.from_json(TEXT))


@pytest.mark.parametrize(("text", "says"), FAULTS, ids=[f"{i}-{says[:60]}" for i, (_, says) in enumerate(FAULTS)])
def test_faults(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(GraphFileError, match=r"net\.json: ") as caught:
        Graph.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert message.isprintable(), "one line"
    assert len(message) <= len(str(path)) + 410


def test_names_from_files_print_on_their_line() -> None:
    name = "\x1b[31m\n\u202e"
    data = json.loads(changed("name", to=name))
    for each in data["nodes"]:
        each["origin"]["passes"] = [name]
    text = str(Graph.from_json(json.dumps(data)))
    assert len(text.splitlines()) == len(str(small()).splitlines())
    assert all(line.isprintable() for line in text.splitlines())


def test_ways_to_be_no_file(tmp_path: Path) -> None:
    with pytest.raises(GraphFileError, match=r"nowhere\.json: cannot be read: no such file or directory$"):
        Graph.load(tmp_path / "nowhere.json")
    with pytest.raises(GraphFileError, match=r": is a folder, and a graph is a plain file$"):
        Graph.load(tmp_path)
    with pytest.raises(GraphFileError, match=r"^/dev/zero: is not a plain file, and a graph is"):
        Graph.load("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GraphFileError, match=r"pipe: is not a plain file, and a graph is"):
        Graph.load(tmp_path / "pipe")
    with pytest.raises(GraphFileError, match=r"cannot be read: embedded null byte$"):
        Graph.load("a\0b")
    with pytest.raises(GraphFileError, match=r"^a path is a string or a pathlib.Path, not b'net'$"):
        Graph.load(b"net")  # type: ignore[arg-type]
    with pytest.raises(GraphFileError, match=r"^the text: is bytes, not a text$"):
        Graph.from_json(b"{}")  # type: ignore[arg-type]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "new\nline.json"
    path.write_bytes(b'{"format": "\xff"}')
    with pytest.raises(GraphFileError, match=r"new\\nline\.json: is not UTF-8 text: byte 12 is 0xff\. Graphs are"):
        Graph.load(path)
    path.write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(GraphFileError, match=r"new\\nline\.json: line 1, column 1: is not JSON: Unexpected UTF-8 BOM"):
        Graph.load(path)


def test_files_beyond_all_size_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(GraphFileError, match=r"has more than 512 MiB$"):
        Graph.load(path)


def mutations(text: str, count: int) -> list[str]:
    """Valid files with a piece changed, cut off, doubled, or put from one place to another."""
    chooser = random.Random(0)
    found = []
    for _ in range(count):
        i, j = sorted(chooser.randrange(len(text)) for _ in range(2))
        length = chooser.choice((1, 1, 1, 3, 20))
        match chooser.randrange(5):
            case 0:
                found.append(text[:i] + chr(chooser.choice((0, 9, 34, 45, 48, 49, 57, 91, 123, 955))) + text[i + 1 :])
            case 1:
                found.append(text[:i] + text[i + length :])
            case 2:
                found.append(text[:i] + text[j : j + length] + text[i:])
            case 3:
                found.append(text[:i] + text[j : j + length] + text[i + length :])
            case _:
                found.append(text[:i])
    return found


def values_changed(data: Any, count: int) -> list[str]:
    """Valid JSON, in which a value somewhere is another one, most of them from elsewhere in the file."""
    chooser = random.Random(1)
    places: list[tuple[Any, Any]] = []
    pending = [data]
    while pending:
        value = pending.pop()
        keys: Any = value.keys() if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                pending.append(value[key])
    odd = [None, True, -1, 0, 1, 2, 10**30, 1.5, "", "n", "inf", "f32", [], {}, [[1, "n"]], [0, 1], ["f32", 2]]
    found = []
    for _ in range(count):
        holder, key = chooser.choice(places)
        other, where = chooser.choice(places)
        before = holder[key]
        holder[key] = other[where] if chooser.random() < 0.6 else chooser.choice(odd)
        with contextlib.suppress(ValueError):  # a list that is within itself
            found.append(json.dumps(data))
        holder[key] = before
    return found


CORRUPTED: list[Callable[[], list[str]]] = [
    lambda: mutations(small().to_json(), 500),
    lambda: mutations(GRAPHS["training-0-graph"].to_json(), 100),
    lambda: values_changed(copy.deepcopy(GOOD), 1000),
    lambda: values_changed(json.loads(GRAPHS["classes-4-cse"].to_json()), 150),
]


@pytest.mark.parametrize("make", CORRUPTED, ids=["text", "program text", "values", "program values"])
def test_corrupted_files(make: Callable[[], list[str]]) -> None:
    """A graph that verifies and can be written again, or a GraphFileError; never anything else."""
    problems = []
    for text in make():
        try:
            graph = Graph.from_json(text, "net.json")
        except GraphFileError as error:
            problems.append(str(error))
            continue
        verify(graph)
        assert Graph.from_json(graph.to_json()).to_json() == graph.to_json()
        assert str(graph)
        assert graph.to_python()
    assert len(problems) > 20
    assert all(problem.startswith("net.json: ") and problem.isprintable() for problem in problems)


def test_loading_runs_nothing(tmp_path: Path) -> None:
    """An audit hook sees no code, import, process, socket or other file, for good files and bad ones."""
    good = tmp_path / "good.json"
    GRAPHS["leaves"].save(good)
    training = tmp_path / "training.json"
    GRAPHS["training-0-graph"].save(training)
    for i, (text, _) in enumerate(FAULTS):
        (tmp_path / f"bad{i}.json").write_text(text)
    script = """
        import sys
        import graphc

        events = []
        names = sys.argv[1:]
        sys.addaudithook(lambda event, arguments: events.append((event, *map(str, arguments))))
        loaded = 0
        for name in names:
            try:
                graphc.Graph.load(name)
                loaded += 1
            except graphc.GraphFileError:
                pass
        seen = list(events)
        assert loaded == 2, loaded
        allowed = {"open", "object.__getattr__", "object.__setattr__"}
        odd = [event for event in seen if event[0] not in allowed]
        odd += [event for event in seen if event[0] == "open" and (event[1] not in names or event[2] != "r")]
        assert not odd, odd[:5]
        assert sum(event[0] == "open" for event in seen) == len(names)
    """
    names = [str(path) for path in sorted(tmp_path.iterdir())]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *names], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
