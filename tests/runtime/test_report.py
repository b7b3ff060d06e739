"""What programs say about themselves."""

import torch

import graphc
from graphc import nn, optim


def training(backend: str = "torch") -> graphc.Program:
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss), backend=backend)


def lines(text: str) -> dict[str, str]:
    return {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in text.splitlines()}


def test_summary() -> None:
    program = training()
    found = lines(program.summary())
    assert found["inputs"] == "x: f32[batch,2], y: f32[batch,1]"
    assert found["outputs"] == "loss"
    assert found["parameters"] == "4 tensors, 21 values"
    assert found["hypers"] == "1 tensors, 1 values"
    assert program.memory is not None
    assert program.schedule is not None
    assert found["scratch"] == f"{program.memory.nbytes({'batch': 32}):,} bytes when batch = 32"
    assert found["calls"] == str(sum(not step.is_view for step in program.schedule.steps))
    assert found["nodes"].startswith(f"{len(program.stages[0].value.nodes)} graph -> ")  # type: ignore[attr-defined]


def test_summary_of_the_reference_has_no_calls() -> None:
    found = lines(training("reference").summary())
    assert found["backend"] == "reference"
    assert "calls" not in found
    assert "scratch" not in found


def test_explain_names_what_was_fused_and_packed() -> None:
    text = training().explain()
    assert "addmm (linear) covers" in text
    assert "(tanh_backward) covers" in text
    assert "of 4 tensors in cells 0" in text
    assert "updates that are copied into their cells at the end: none" in text
    assert "pack_updates: pack_region ×4" in text


def test_explain_names_updates_that_are_copied() -> None:
    a, b = graphc.Parameter(torch.ones(2), name="a"), graphc.Parameter(torch.zeros(2), name="b")
    text = graphc.compile([], a.sum(), {a: b, b: a}).explain()
    assert "  a = %" in text
    assert "  b = %" in text


def test_explain_of_the_reference() -> None:
    lines = training("reference").explain().splitlines()
    assert lines[0] == "backend reference"
    assert lines[-1] == "every node evaluates itself"


def test_autocast_does_not_reach_products_that_are_given(backend: str) -> None:
    """torch casts the operands of products that it makes a tensor for, and not of those in planned memory."""
    x, w = graphc.placeholder("x", ("n", 2)), graphc.placeholder("w", (2, 4))
    program = graphc.compile([x, w], x @ w, backend=backend)
    values = torch.rand(3, 2), torch.rand(2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = program(*values)
    assert cast.dtype is torch.float32
    assert torch.equal(cast, program(*values))


def test_autocast_does_not_change_dtypes() -> None:
    program = training()
    x, y = torch.rand(3, 2), torch.rand(3, 1)
    plain = program(x, y, state=program.new_state())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = program(x, y, state=program.new_state())
    assert cast.dtype is torch.float32
    assert torch.equal(cast, plain)
