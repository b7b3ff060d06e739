"""Saved graphs: what is written is read again; files are the same for the same graph, and arrive whole."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import graphc
from graphc import Graph, GraphFileError
from graphc.ir import OPS, Output, OutputRole, Role, Sample, apply
from graphc.ir.attributes import kinds_of
from graphc.ir.origin import next_ident
from graphc.ir.verify import verify
from graphc.types import DTYPES
from tests.ir.structure import GRAPHS, NAMES, SAMPLES, graph_of_sample, structure, with_names
from tests.judge import assert_same, graph_of, probed, results_of

OPS_OF_GRAPHC = dict(OPS)


def assert_round_trip(graph: Graph) -> Graph:
    text = graph.to_json()
    loaded = Graph.from_json(text)
    verify(loaded)
    assert structure(loaded, origins=True) == structure(graph, origins=True)
    assert str(loaded) == str(graph)
    assert loaded.to_json() == text
    return loaded


@pytest.mark.parametrize("name", OPS_OF_GRAPHC)
def test_every_attribute_has_an_encoding(name: str) -> None:
    kinds_of(OPS_OF_GRAPHC[name])


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_samples(sample: Sample) -> None:
    assert_round_trip(graph_of_sample(sample))


@pytest.mark.parametrize("name", GRAPHS)
def test_programs(name: str) -> None:
    assert_round_trip(GRAPHS[name])


def test_every_op_is_tried() -> None:
    tried = {sample.op.name for sample in SAMPLES} | {n.op.name for g in GRAPHS.values() for n in g.nodes}
    assert tried == OPS_OF_GRAPHC.keys()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_constants_keep_their_bits(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    high = 2 if dtype is torch.bool else 256
    data = torch.randint(high, (3, 5 * dtype.itemsize), dtype=torch.uint8, generator=generator).view(dtype)
    [result] = results_of(assert_round_trip(graph_of([graphc.constant(data.mT)])))
    assert result.contiguous().view(torch.uint8).equal(data.mT.contiguous().view(torch.uint8))


def test_hostile_names() -> None:
    assert_round_trip(with_names(NAMES))
    for name in NAMES:
        graph = with_names([name])
        assert_round_trip(graph)
        assert graph.to_json().isascii()


def test_a_loaded_graph_computes() -> None:
    """Outputs, gradients and updates of a whole program, after its cells were given the same values."""
    graph = GRAPHS["training-0-graph"]
    loaded = Graph.from_json(graph.to_json())
    generator = torch.Generator().manual_seed(0)
    for ours, theirs in zip(graph.cells, loaded.cells, strict=True):
        theirs.value.copy_(ours.value)
    arrays = [torch.rand(3, 4, generator=generator), torch.rand(3, 1, generator=generator)]
    for actual, expected in zip(results_of(loaded, arrays), results_of(graph, arrays), strict=True):
        assert_same(actual, expected, bits=True)


def test_a_loaded_graph_compiles() -> None:
    x = graphc.placeholder("x", ("n",))
    rate = graphc.Variable(torch.tensor(0.25), name="rate", role=Role.HYPER)
    loaded = Graph.from_json(graph_of([x * rate], [x]).to_json())
    inputs = [graphc.Tensor(node) for node in loaded.inputs]
    program = graphc.compile(inputs, graphc.Tensor(loaded.outputs[0].node), backend="torch")
    assert program(torch.tensor([4.0])).tolist() == [1.0]


def test_a_loaded_graph_draws_as_before() -> None:
    graph = GRAPHS["training-0-graph"]
    loaded = Graph.from_json(graph.to_json())
    before, after = graphc.viz.draw(graph), graphc.viz.draw(loaded)
    boxes = [[(box.kind, box.lines, box.tooltip, box.frame) for box in each.boxes] for each in (before, after)]
    assert boxes[0] == boxes[1]
    assert after.arrows == before.arrows
    assert [frame.title for frame in after.frames] == [frame.title for frame in before.frames]


def test_cells_of_a_loaded_graph() -> None:
    """Numbers that somebody chose are kept; values are zeros, made when somebody looks, and so are initial ones."""
    loaded = Graph.from_json(GRAPHS["classes-0-graph"].to_json())
    assert [(cell.name, cell.value.item()) for cell in loaded.cells if cell.name == "lr"] == [
        ("lr", pytest.approx(0.1)),
        ("lr", pytest.approx(0.001)),
    ]
    weight = next(cell for cell in loaded.cells if cell.name == "0.weight")
    assert_same(weight.value, torch.zeros(3, 4), bits=True)
    weight.value.add_(1.0)
    assert_same(weight.value, torch.ones(3, 4), bits=True)
    assert_same(weight.initial(None), torch.zeros(3, 4), bits=True)
    state = graphc.State(loaded.cells).redrawn(3)
    assert_same(state["0.weight"], torch.zeros(3, 4), bits=True)
    assert_same(state["momentum"], torch.tensor(0.9, dtype=torch.float64), bits=True)


def test_cells_of_any_size_load() -> None:
    """Nobody needs 4 TB to look at a graph."""
    x = graphc.Parameter(torch.zeros(3), name="x")
    text = graph_of([x[0]]).to_json().replace('["f32", 3]', '["f32", 1000000000000]')
    assert Graph.from_json(text).cells[0].type.numel == 10**12


def test_idents_are_new_and_in_order() -> None:
    graph = GRAPHS["training-0-graph"]
    before = next_ident()
    loaded = Graph.from_json(graph.to_json())
    idents = [node.origin.ident for node in loaded.nodes]
    assert min(idents) > before
    assert max(idents) < next_ident()


def build() -> Graph:
    x = graphc.placeholder("x", ("n", 2))
    net = graphc.nn.Sequential(graphc.nn.Linear(2, 3), graphc.nn.Dropout())
    loss = net(x).sum()
    return graph_of([loss], [x], graphc.optim.SGD(net.parameters(), lr=0.1).minimize(loss))


def test_the_same_graph_has_the_same_bytes() -> None:
    assert build().to_json() == build().to_json()


def test_one_line_for_each_node() -> None:
    graph = build()
    lines = graph.to_json().splitlines()
    assert sum(line.startswith('{"op": ') for line in lines) == len(graph.nodes)
    assert max(map(len, lines)) < 250
    assert '{"op": "placeholder", "attributes": {"label": "x", "type": ["f32", "n", 2]}' in graph.to_json()


def test_files_below_the_working_directory_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build()
    monkeypatch.chdir(Path(__file__).parent)
    assert json.loads(graph.to_json())["files"][0] == "test_saved.py"
    monkeypatch.chdir(tmp_path)
    assert json.loads(graph.to_json())["files"][0] == __file__


@pytest.mark.parametrize("length", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_long_chains(length: int) -> None:
    x = y = graphc.placeholder("x", ("n",))
    for _ in range(length):
        y = -y
    graph = graph_of([y], [x])
    loaded = Graph.from_json(graph.to_json())
    assert len(loaded.nodes) == length + 1
    assert {node.op.name for node in loaded.nodes[1:]} == {"neg"}


# Files ----------------------------------------------------------------------------------------------------------------


def test_files(tmp_path: Path) -> None:
    graph = GRAPHS["leaves"]
    path = tmp_path / "naïve net.json"
    graph.save(path)
    assert structure(Graph.load(str(path)), origins=True) == structure(graph, origins=True)
    assert path.read_text(encoding="utf-8") == graph.to_json()
    assert os.listdir(tmp_path) == [path.name]
    umask = os.umask(0o077)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    GRAPHS["sizes"].save(link)
    assert link.is_symlink()
    assert target.read_text() == GRAPHS["sizes"].to_json()


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.json"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GraphFileError, match=r"net\.json: cannot be written: no space left on device$"):
        GRAPHS["sizes"].save(path)
    assert os.listdir(tmp_path) == ["net.json"]
    assert path.read_text() == "old"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    graph = GRAPHS["empty"]
    with pytest.raises(GraphFileError, match=r"is a folder$"):
        graph.save(tmp_path)
    with pytest.raises(GraphFileError, match=r"cannot be written: no such file or directory$"):
        graph.save(tmp_path / "nowhere" / "net.json")
    with pytest.raises(GraphFileError, match=r"^/dev/null: cannot be written: is not a plain file$"):
        graph.save("/dev/null")
    with pytest.raises(GraphFileError, match=r"cannot be written: embedded null byte$"):
        graph.save("a\0b")
    with pytest.raises(GraphFileError, match=r"^a path is a string or a pathlib\.Path, not 1$"):
        graph.save(1)  # type: ignore[arg-type]


def test_what_files_cannot_have(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphc.placeholder("x", (2,))
    y = probed(x, lambda: None, monkeypatch)
    with pytest.raises(
        GraphFileError, match=r"^probe: its 'tell' is a Callable\[.*\], for which files have no encoding"
    ):
        graph_of([y], [x]).to_json()
    with pytest.raises(GraphFileError, match=r"^number: a huge integer is not between"):
        graph_of([apply(OPS["pow_number"](10**31), x)], [x]).to_json()
    negated = (-x).node
    twins = graph_of([graphc.Tensor(negated), graphc.Tensor(replace(negated))], [x])
    with pytest.raises(GraphFileError, match=r"^nodes\[2\]\.origin\.ident: \d+ is that of another node$"):
        twins.to_json()
    with pytest.raises(graphc.VerifyError, match="a placeholder that is not an input of the graph"):
        Graph((), (Output(x.node, OutputRole.OUTPUT, "x"),)).to_json()
