"""What the torch plan once got wrong, or nearly."""

import gc
import weakref

import pytest
import torch

import graphc
from graphc import nn, optim
from graphc.backends.torch_plan.lower import SHORT
from graphc.ir import Role


@pytest.mark.parametrize("rows", [SHORT, SHORT + 1, 200_000])
def test_long_sums_are_as_exact_as_torchs(rows: int) -> None:
    """BLAS adds one after another: half a million squares would be off in the fourth digit."""
    x = graphc.placeholder("x", ("batch", 5))
    program = graphc.compile([x], {"squares": x.square().mean(), "rows": x.sum(0)})
    values = torch.rand(rows, 5) + 0.5
    found = program(values)
    exact = values.double()
    assert found["squares"].item() == pytest.approx(exact.square().mean().item(), rel=1e-6)
    torch.testing.assert_close(found["rows"].double(), exact.sum(0), rtol=3e-6, atol=0)


def test_an_input_that_is_a_cell_has_its_value_from_before_the_step(backend: str) -> None:
    a, b = graphc.Parameter(torch.tensor([1.0, 2.0]), name="a"), graphc.Parameter(torch.tensor([10.0, 20.0]), name="b")
    x, y = graphc.placeholder("x", (2,)), graphc.placeholder("y", (2,))
    program = graphc.compile([x, y], x.sum(), {a: x + 0.0 * a, b: y + 0.0 * b}, backend=backend)
    program(b.value, a.value)
    assert a.value.tolist() == [10.0, 20.0]
    assert b.value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_an_input_that_is_a_piece_of_a_cell_has_its_value_from_before_the_step(backend: str) -> None:
    """Also a piece that does not begin where the cell does, and one that NumPy has."""
    a, b = graphc.Parameter(torch.zeros(6), name="a"), graphc.Parameter(torch.zeros(3), name="b")
    x = graphc.placeholder("x", (3,))
    program = graphc.compile([x], [], {a: a * 2.0, b: b + x}, backend=backend)
    for piece in (lambda: a.value[3:], lambda: a.value[1:].numpy()[1:4]):
        a.value, b.value = torch.arange(6.0), torch.zeros(3)
        program(torch.zeros(3))
        before = torch.as_tensor(piece()).tolist()
        b.value = torch.zeros(3)
        program(piece())
        assert b.value.tolist() == before


def test_outputs_are_made_before_the_first_cell_changes() -> None:
    """A call that runs out of memory for an output leaves the State as it was."""
    p, x = graphc.Parameter(torch.ones(3), name="p"), graphc.placeholder("x", (2, 3))
    source = graphc.compile([x], (x * 3.0).T, {p: p * 2.0}, backend="torch").source
    run = source[source.index("def run") :]
    assert "group(0)" in source  # the update is in place
    assert run.index(".clone()") < run.index("mul(cell0")


def test_states_are_not_kept_alive(backend: str) -> None:
    p = graphc.Parameter(torch.ones(3), name="p")
    program = graphc.compile([], p.sum(), {p: p * 2.0}, backend=backend)
    state = program.new_state()
    program(state=state)
    gone = weakref.ref(state)
    del state
    gc.collect()
    assert gone() is None


def test_workspaces_go_without_the_collector() -> None:
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Linear(2, 1)
    loss = nn.MSELoss()(net(x), y)
    program = graphc.compile([x, y], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss))
    program(torch.rand(3, 2), torch.rand(3, 1))
    bound = program._pool.take((3,))
    assert bound is not None
    namespace = weakref.ref(bound.run)
    gc.disable()
    try:
        del bound
        assert namespace() is None
    finally:
        gc.enable()


def test_a_setting_is_seen_at_the_next_call() -> None:
    p = graphc.Parameter(torch.zeros(2), name="p")
    rate = graphc.Variable(torch.tensor(1.0, dtype=torch.float64), name="rate", role=Role.HYPER)
    program = graphc.compile([], p.sum(), {p: p + rate * 2.0}, backend="torch")
    program()
    rate.value = 10.0
    program()
    assert p.value.tolist() == [22.0, 22.0]
    assert "def set_up" in program.source
