"""What each stage of compilation made, as rows."""

from __future__ import annotations

import itertools

import pytest

import graphc
from graphc import nn, optim, placeholder
from graphc.ir import Graph
from graphc.runtime.stage import Stage
from graphc.viz.passes import PassRow, PassTable, pass_rows


def program(backend: str) -> graphc.Program:
    x, y = placeholder("points", ("batch", 2)), placeholder("labels", ("batch", 1))
    module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(), nn.Linear(5, 1), nn.Sigmoid())
    loss = nn.BCELoss()(module(x), y)
    return graphc.compile([x, y], loss, optim.Adam(module.parameters()).minimize(loss), backend=backend)


@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_a_row_for_each_stage(backend: str) -> None:
    compiled = program(backend)
    rows = pass_rows(compiled)
    assert [(row.name, row.seconds, row.counts) for row in rows] == [
        (stage.name, stage.seconds, stage.counts) for stage in compiled.stages
    ]
    graphs = [stage.value for stage in compiled.stages if isinstance(stage.value, Graph)]
    compared = [row for row in rows if row.comparison is not None]
    assert len(compared) == len(graphs) - 1
    for row, (before, after) in zip(compared, itertools.pairwise(graphs), strict=True):
        assert row.comparison is not None
        assert (row.comparison.before, row.comparison.after) == (before, after)
        assert (row.nodes_before, row.nodes_after) == (len(before.nodes), len(after.nodes))
        assert len(before.nodes) + row.added - row.removed == len(after.nodes)
        if before is after:
            assert (row.added, row.removed, row.rewritten) == (0, 0, 0)
    rows_by_name = {row.name: row for row in compared if row.counts}
    assert rows_by_name["specialise"].added > 0
    assert rows_by_name["canonicalise"].rewritten > 0
    assert rows_by_name["cse"].removed > 0


def test_what_the_torch_plan_is_made_of() -> None:
    compiled = program("torch")
    rows = {row.name: row for row in pass_rows(compiled)}
    assert rows["plan"].made == f"{len(compiled.source.encode()):,} bytes of source"
    assert rows["plan"].nodes_before is rows["plan"].nodes_after is None
    assert rows["schedule"].made.endswith(" calls")
    assert rows["memory"].made.endswith(" of scratch memory")


def test_what_native_code_is_made_of() -> None:
    compiled = program("c")
    rows = {row.name: row for row in pass_rows(compiled)}
    kernels = rows["schedule"].made
    assert kernels.endswith(" kernels")
    assert rows["native plan"].made.startswith(f"{kernels}, ")
    assert rows["kernel"].made == f"{len(compiled.source.encode()):,} bytes of source"
    assert rows["library"].made.endswith(" bytes of machine code")


def test_the_table() -> None:
    x = placeholder("x", ("batch", 3))
    compiled = graphc.compile([x], x.mean() * 1, backend="reference")
    rows = [PassRow(row.name, 0.00125, row.counts, row.made, row.comparison) for row in pass_rows(compiled)]
    assert str(PassTable(tuple(rows))) == (
        "stage             ms  made     added  removed  rewritten  rules\n"
        "graph           1.25  4 nodes\n"
        "specialise      1.25  4 nodes\n"
        "canonicalise    1.25  4 nodes     +2       -2         ~1  mean_as_sum ×1  mul_by_one ×1\n"
        "fold_constants  1.25  4 nodes\n"
        "cse             1.25  4 nodes\n"
        "dce             1.25  4 nodes\n"
    )


def test_names_are_only_text_and_values_may_be_anything() -> None:
    stages = (Stage("a\nb", 3.5, 0.1), Stage("library", "/no/such/file", 0.1))

    class Compiled:
        def __init__(self) -> None:
            self.stages = stages

    rows = pass_rows(Compiled())  # type: ignore[arg-type]
    assert [row.made for row in rows] == ["a float", "a library"]
    assert "a\\nb" in str(PassTable(rows))
