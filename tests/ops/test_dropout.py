"""Dropout in whole programs: what it drops, the same on every backend, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

import graphc
from graphc import CompileError, DTypeError, Program, Tensor, nn, optim
from graphc.expr.philox import DROPOUT, random_words
from tests.conftest import BACKENDS
from tests.judge import Array, assert_same

ONES = torch.ones(100, 50)


def declared() -> Tensor:
    return graphc.placeholder("x", ("n", "m"))


def trained(*outputs: Tensor, inputs: Sequence[Tensor], backend: str = "torch") -> Program:
    return graphc.compile(list(inputs), outputs, backend=backend, training=True)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_what_is_kept_is_scaled(p: float, backend: str) -> None:
    x = declared()
    (y,) = trained(graphc.dropout(x, p), inputs=[x], backend=backend)(ONES)
    dropped = int((y == 0).sum())
    assert abs(dropped - 5000 * p) < 5 * (5000 * p * (1 - p)) ** 0.5
    assert_same(y[y != 0], torch.full((5000 - dropped,), 1 / (1 - p)))


def test_places_drop_independently() -> None:
    """Pairs of neighbours, in rows, in columns and in time, are dropped together a quarter of the time."""
    x = declared()
    program = trained(graphc.dropout(x), inputs=[x])
    (a,), (b,) = ((y == 0 for y in program(ONES)) for _ in range(2))
    for one, two in ((a[1:], a[:-1]), (a[:, 1:], a[:, :-1]), (a[:, 4:], a[:, :-4]), (a, b)):
        together = (one & two).double().mean().item()
        assert abs(together - 0.25) < 5 * (0.25 * 0.75 / one.numel()) ** 0.5


def test_each_call_and_each_step_has_a_mask_of_its_own(backend: str) -> None:
    x = declared()
    program = trained(graphc.dropout(x), graphc.dropout(x), inputs=[x], backend=backend)
    found = [y for _ in range(3) for y in program(ONES)]
    assert len({tuple((y == 0).flatten().tolist()) for y in found}) == 6


def test_one_call_has_one_mask() -> None:
    x = declared()
    y = graphc.dropout(x)
    one, two = trained(y, y * 2.0, inputs=[x])(ONES)
    assert_same(two, one * 2.0)


def test_a_gradient_has_the_mask_of_its_function(backend: str) -> None:
    x = declared()
    y = graphc.dropout(x, 0.3)
    first = graphc.grad(y.square().sum(), x)
    second = graphc.grad(first.sum(), x)
    values = torch.rand(20, 30) + 0.5
    a, b, c = trained(y, first, second, inputs=[x], backend=backend)(values)
    mask = (a != 0) / 0.7
    assert_same(a, values * mask)
    assert_same(b, 2 * values * mask.square())
    assert_same(c, 2 * mask.square())


def test_dropped_elements_are_zero_whatever_they_were(backend: str) -> None:
    x = declared()
    values = torch.full((4, 50), float("nan"))
    (y,) = trained(graphc.dropout(x, 0.9), inputs=[x], backend=backend)(values)
    assert (y == 0).any()
    assert (y.isnan() | (y == 0)).all()


def test_the_bits_are_those_of_the_stream(backend: str) -> None:
    """As docs/decisions/0017 has it, and as other implementations can compute it."""
    x = declared()
    program = trained(graphc.dropout(x, 0.25), graphc.dropout(x, 0.75), inputs=[x], backend=backend)
    state = program.new_state(seed=2**40 + 7)
    for step in range(3):
        for stream, (y, p) in enumerate(zip(program(torch.ones(3, 7), state=state), (0.25, 0.75), strict=True)):
            words = random_words(21, 2**40 + 7, step, DROPOUT + stream)
            assert (y.flatten() != 0).tolist() == (words >= p * 2**32).tolist()


def test_masks_are_what_they_are() -> None:
    """Runs of earlier versions can be repeated."""
    x = declared()
    program = trained(graphc.dropout(x), inputs=[x])
    (y,) = program(torch.ones(2, 8), state=program.new_state(seed=1))
    assert (y != 0).int().tolist() == [[0, 1, 0, 0, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1, 1, 0]]


@pytest.mark.parametrize(("p", "factor"), [(0.0, 1.0), (1.0, 0.0), (0, 1.0), (1, 0.0)])
def test_certainty(p: float, factor: float, backend: str) -> None:
    x = declared()
    y = graphc.dropout(x, p)
    for result in trained(y, graphc.grad(y.sum(), x), inputs=[x], backend=backend)(ONES):
        assert_same(result, ONES * factor, bits=True)


def test_without_training_it_is_the_identity(backend: str) -> None:
    x = declared()
    y = graphc.dropout(x)
    program = graphc.compile([x], [y, graphc.grad((y * y).sum(), x)], backend=backend)
    assert not program.training
    a, b = program(ONES)
    assert_same(a, ONES, bits=True)
    assert_same(b, ONES * 2)
    assert not program.state.cells


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype, backend: str) -> None:
    x = graphc.placeholder("x", ("n",), dtype)
    (y,) = trained(graphc.dropout(x, 0.2), inputs=[x], backend=backend)(torch.ones(100, dtype=dtype))
    assert_same(y[y != 0], torch.full((int((y != 0).sum()),), 1.25, dtype=dtype))


@pytest.mark.parametrize("shape", [(), (0,), (1,)])
def test_small_shapes(shape: tuple[int, ...], backend: str) -> None:
    x = graphc.placeholder("x", shape)
    (y,) = trained(graphc.dropout(x), inputs=[x], backend=backend)(torch.ones(shape))
    assert y.shape == shape


def test_refusals() -> None:
    x = declared()
    for p in (-0.1, 1.5, float("nan"), "half", True, None):
        with pytest.raises(CompileError, match=r"^dropout: p is a probability from 0 to 1, not .*; built at "):
            graphc.dropout(x, p)  # type: ignore[arg-type]
    with pytest.raises(CompileError, match=r"^Dropout: p is a probability from 0 to 1, not 2"):
        nn.Dropout(2)
    with pytest.raises(DTypeError, match=r"^dropout: needs a floating dtype, not i64"):
        graphc.dropout(x.to(torch.int64))
    with pytest.raises(CompileError, match=r"^compile: training is True, False or None, not 'yes'"):
        graphc.compile([x], x, training="yes")  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=r"training.*: no layer has a mode"):
        nn.Dropout().training  # noqa: B018


# Training.


def network(backend: str) -> tuple[Program, Array, Array]:
    """A classifier with two dropouts, and data for it."""
    torch.manual_seed(0)
    x, t = graphc.placeholder("x", ("n", 4)), graphc.placeholder("t", ("n",), torch.int64)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Dropout(), nn.Linear(16, 3))
    loss = nn.CrossEntropyLoss()(net(x), t)
    program = graphc.compile([x, t], loss, optim.Adam(net.parameters()).minimize(loss), backend=backend)
    return program, torch.randn(40, 4), torch.randint(0, 3, (40,))


def test_backends_train_alike() -> None:
    runs = []
    for backend in BACKENDS:
        program, x, t = network(backend)
        runs.append(program.fit(x, t, batch_size=16, epochs=3, state=program.new_state(seed=1))["loss"])
    for run in runs[1:]:
        assert run == pytest.approx(runs[0], rel=1e-5)


def test_programs_over_one_network_share_states() -> None:
    x = declared()
    y = graphc.dropout(x).sum() + graphc.dropout(x).sum()
    one, two = trained(y, inputs=[x]), trained(y, y * 2.0, inputs=[x], backend="reference")
    state = one.new_state(seed=3)
    alike = state.copy()
    (a,), (b, _) = one(ONES, state=state), two(ONES, state=alike)
    assert_same(a, b)
    assert state["dropout"].tolist() == alike["dropout"].tolist() == [3, 1]
    (c,) = one(ONES, state=alike)
    assert not torch.equal(a, c), "steps of either program count"


def test_equal_states_and_seeds_give_equal_runs(backend: str) -> None:
    program, x, t = network(backend)
    start = program.new_state()

    def losses(seed: int, shuffle: bool = True) -> list[float]:
        return program.fit(x, t, batch_size=8, epochs=2, seed=seed, shuffle=shuffle, state=start.copy())["loss"]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)
    assert losses(1, shuffle=False) != losses(2, shuffle=False), "the seed is that of dropout, too"


def test_a_second_run_has_other_masks() -> None:
    """Or every sample would be seen with the same mask again."""
    x = declared()
    p = nn.Parameter(torch.ones(()))
    program = graphc.compile([x], (graphc.dropout(x) * p).sum(), {p: p * 1.0})
    state = program.new_state()
    runs = [program.fit(ONES, batch_size=10, epochs=2, seed=4, shuffle=False, state=state)["loss"] for _ in range(2)]
    assert len({*runs[0], *runs[1]}) == 4
    assert state["dropout"].tolist() == [4, 40]


def test_seeds_are_those_of_torch() -> None:
    """A graph that is built after `torch.manual_seed` starts with that seed, and draws no number for it."""
    torch.manual_seed(11)
    x = declared()
    program = trained(graphc.dropout(x), inputs=[x])
    after = torch.rand(3)
    assert program.state["dropout"].tolist() == [11, 0]
    assert program.new_state(seed=12)["dropout"].tolist() == [12, 0]
    torch.manual_seed(11)
    assert_same(after, torch.rand(3), bits=True)


def test_validation_has_no_dropout(backend: str) -> None:
    program, x, t = network(backend)
    assert program.training
    assert not program.evaluation.training
    state = program.new_state(seed=5)
    program(x, t, state=state)
    before = state["dropout"].clone()
    assert program.evaluate(x, t, state=state) == program.evaluate(x, t, state=state)
    assert torch.equal(before, state["dropout"])
    history = program.fit(x, t, batch_size=40, epochs=1, state=state, validation=(x, t))
    assert history["validation_loss"] == pytest.approx([program.evaluate(x, t, state=state)["loss"]])
    assert program.evaluation.evaluation is program.evaluation


def test_training_can_be_asked_for_and_refused(backend: str) -> None:
    x = declared()
    p = nn.Parameter(torch.ones(()))
    y = graphc.dropout(x).sum()
    sampling = graphc.compile([x], y, backend=backend, training=True)
    assert sampling(ONES) != sampling(ONES), "another mask each"
    assert sampling.evaluate(ONES) == {"loss": 5000.0}
    frozen = graphc.compile([x], y, {p: p * 2.0}, backend=backend, training=False)
    assert frozen(ONES) == 5000.0
    assert "mode             training" in sampling.summary()
    assert "inference" in frozen.summary()
    assert [stage.name for stage in frozen.stages][:2] == ["graph", "specialise"]


def test_a_module_that_is_called_twice_has_two_masks() -> None:
    x = declared()
    layer = nn.Dropout(0.4)
    assert repr(layer) == "Dropout(p=0.4)"
    one, two = trained(layer(x), layer(x), inputs=[x])(ONES)
    assert not torch.equal(one, two)


def test_counters_follow_the_parameters() -> None:
    """To the device that a program runs on; this one has types and no values, so that no mask can be drawn."""
    x = declared()
    scale = nn.Parameter(torch.ones(()))
    program = trained(graphc.dropout(x) * scale, inputs=[x])
    assert program.state.device.type == "cpu"
    scale.cell.value = scale.value.to("meta")
    assert program.state.device.type == "meta"
    with pytest.raises(NotImplementedError, match="meta"):
        program(ONES.to("meta"))
    assert program.state["dropout"].device.type == "meta"
