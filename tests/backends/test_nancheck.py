"""Programs that stop where NaN or infinity first appears: which node, why, where, and with which State."""

from __future__ import annotations

import contextlib
import inspect
import pickle
import re
from collections.abc import Callable, Mapping

import pytest
import torch

import graphc
from graphc import NonFiniteError, Program, State, Tensor, nn, optim
from graphc.backends.nancheck import CheckedExecutable
from graphc.gradient import grad
from graphc.ir import apply
from graphc.ir.collection import collector_paused
from tests.ir.structure import SAMPLES

BACKENDS = ["reference", "torch", "auto"]
INF = float("inf")


class Logarithm(nn.Module):
    """A layer that users might write, and that is wrong where its operand is 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x.log()


LOG_LINE = inspect.getsourcelines(Logarithm.forward)[1] + 1


def trained(
    loss_of: Callable[[Tensor, Tensor], Tensor], *layers: nn.Module, lr: float = 0.1, **options: object
) -> Program:
    """A network 2-3-1, with `layers` between, that is trained for `loss_of` its output and the labels."""
    torch.manual_seed(5)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 3), *layers, nn.Linear(3, 1))
    loss = loss_of(net(x), y)
    options = {"nancheck": True, "backend": "reference", **options}
    return graphc.compile([x, y], {"loss": loss}, optim.Adam(net.parameters(), lr=lr).minimize(loss), **options)  # type: ignore[arg-type]


def data(rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(rows, 2, generator=generator)
    return x, x.sum(1, keepdim=True)


def values(state: State) -> list[torch.Tensor]:
    return [state.read(cell).clone() for cell in state.cells]


def of(function: Callable[..., Tensor], *given: list[float] | torch.Tensor, backend: str = "reference") -> Program:
    """A checked program of a function of vectors."""
    inputs = [graphc.placeholder(f"x{k}", (len(x),)) for k, x in enumerate(given)]
    return graphc.compile(inputs, function(*inputs), backend=backend, nancheck=True)


def message(function: Callable[..., Tensor], *given: list[float], backend: str = "reference") -> str:
    with pytest.raises(NonFiniteError, match=r"test_nancheck\.py:\d+") as caught:
        of(function, *given, backend=backend)(*map(torch.tensor, given))
    return str(caught.value)


# What is said ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_node_is_named(backend: str) -> None:
    program = trained(nn.MSELoss(), nn.ReLU(), Logarithm(), backend=backend)
    before = values(program.state)
    with pytest.raises(NonFiniteError, match="log: makes -inf") as caught:
        program(*data())
    lines = str(caught.value).split("\n  ")
    assert re.fullmatch(
        rf"log: makes -inf from finite values at \[\d+, \d\], where log\(0\) = -inf; built at \S*test_nancheck\.py:"
        rf"{LOG_LINE} in sequential\.2 \(Logarithm\)\. Log of a value ≤ 0: keep it above 0, such as by "
        r"x\.clamp\(min=1e-6\)",
        lines[0],
    )
    assert re.fullmatch(r"result f32\[12,3\]: \d+ of 36 elements not finite", lines[1])
    assert re.fullmatch(
        r"operand 1, relu f32\[12,3\]: 0 to \d\.\d+, \d+ are 0; built at \S*test_nancheck\.py:\d+", lines[2]
    )
    assert lines[3:] == ["in the forward pass"]
    assert all(map(torch.equal, values(program.state), before)), "no cell has changed, no counter of steps either"
    program.running(program.state).__enter__()  # the State is not left reserved


MADE: dict[str, tuple[Callable[..., Tensor], list[list[float]], str]] = {
    "log of 0": (lambda x: x.log(), [[1.0, 0.0]], "log: makes -inf from finite values at [1], where log(0) = -inf;"),
    "log below 0": (lambda x: x.log(), [[-1.0]], "log: makes NaN from finite values at [0], where log(-1) = nan;"),
    "sqrt": (lambda x: x.sqrt(), [[4.0, -2.5]], "sqrt: makes NaN from finite values at [1], where sqrt(-2.5) = nan;"),
    "div": (lambda x, y: x / y, [[-1.0], [0.0]], "where div(-1, 0) = -inf;"),
    "0 / 0": (lambda x, y: x / y, [[0.0], [0.0]], "div: makes NaN from finite values at [0], where div(0, 0) = nan;"),
    "reciprocal": (lambda x: x.reciprocal(), [[0.0]], "Division by 0: keep it away from 0"),
    "power": (lambda x: x**-1.5, [[0.0]], "where pow_number(0, exponent=-1.5) = inf;"),
    "exp": (lambda x: x.exp(), [[1.0, 100.0]], "The result is beyond the largest f32: for probabilities and their"),
    "large power": (lambda x: x**2, [[-1e20, 1e20]], "The result is beyond the largest f32: if values grow from step"),
    "product": (lambda x: x * x, [[1e20]], "The result is beyond the largest f32: if values grow from step to step"),
    "matmul": (
        lambda x: x.reshape(1, 2) @ x.reshape(2, 1),
        [[3e38, 2.0]],
        "element at [0, 0] is made of 2 of operand 2: 2 to 3e+38",
    ),
    "sum": (lambda x: x.reshape(2, 2).sum(0), [[3e38, 1.0, 3e38, -1.0]], "made of 2 of operand 1: 3e+38 to 3e+38"),
    "mean of none": (lambda x: x[1:].mean(), [[1.0]], "this is the mean of no elements: 0 / 0"[1:]),
    "bce": (lambda p, t: nn.BCELoss()(p, t), [[1.5], [1.0]], "end the network in a Sigmoid"),
    "cast": (lambda x: (x.double() * 1e300).to(torch.float32), [[1.0]], "cast(1e+300, dtype=torch.float32) = inf"),
    "masked row": (
        lambda x: graphc.where(x > 5.0, x, -INF).softmax(0),
        [[1.0, 2.0]],
        "softmax: makes NaN from infinite values at [0]; ",
    ),
    "two infinities": (lambda x: (x + INF) - (x + INF), [[1.0]], "infinities that were meant met each other"[1:]),
    "beside one that is meant": (
        lambda x: graphc.where(x > 1.0, x, -INF) * 1e38,
        [[0.0, 1e10]],
        "mul: makes inf from infinite values at [1], where mul(1e+10, 1e+38) = inf",
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made(name: str) -> None:
    function, given, text = MADE[name]
    assert text in message(function, *given)


def test_gradients_are_named_with_what_they_are_of() -> None:
    program = trained(lambda p, y: ((p - y) * 0.0).square().sum().sqrt())
    with pytest.raises(NonFiniteError, match=r"div: makes inf from finite values, where div\(1, 0\) = inf") as caught:
        program(*data())
    first, *_, last = str(caught.value).split("\n  ")
    assert "The derivative of sqrt at 0 is infinite: add a small number below the root" in first
    assert re.fullmatch(r"in the gradient of sqrt built at \S+\.py:\d+, on the way to the new values of .*", last)
    assert last.endswith("of '0.weight', '0.bias', '1.weight', 1 more")


def test_updates_are_named() -> None:
    x = graphc.placeholder("x", ("batch",))
    weight = graphc.Parameter(torch.ones(3), name="weight")
    program = graphc.compile([x], x.sum(), {weight: weight / (weight - 1.0)}, backend="torch", nancheck=True)
    with pytest.raises(NonFiniteError, match=r"(?s)div: makes inf .*\n  in the new value of 'weight'$") as caught:
        program(torch.ones(2))
    assert "operand 2, sub f32[3]: 0 to 0, 3 are 0" in str(caught.value)
    assert weight.value.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("bad", [float("nan"), INF, -INF])
def test_data_is_named_as_data(bad: float) -> None:
    x, y = data()
    program = trained(nn.MSELoss(), Logarithm())
    x[3, 1] = bad
    kind = str(bad).replace("nan", "NaN")
    with pytest.raises(
        NonFiniteError, match=rf"^input 'x': has {kind} at \[3, 1\]; built at \S+\. No operation made it"
    ):
        program(x, y)


def test_a_parameter_is_named() -> None:
    program = trained(nn.MSELoss(), nn.Tanh())
    state = program.new_state()
    state["2.bias"][0] = float("nan")
    with pytest.raises(
        NonFiniteError, match=r"^parameter '2\.bias': has NaN at \[0\] before the step; .*\n  value: 1 is NaN$"
    ):
        program(*data(), state=state)


# What is meant --------------------------------------------------------------------------------------------------------

PASSING: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mask": lambda x: graphc.where(x > 0.0, x, -INF).softmax(0),
    "mask that is added": lambda x: (x + graphc.constant(torch.tensor([0.0, -INF]))).log_softmax(0).exp(),
    "an output": lambda x: graphc.where(x > 0.0, x, -INF),
    "a limit": lambda x: x.clamp(max=INF) * 2.0,
    "the least of none": lambda x: graphc.minimum(x, INF),
    "NaN that nobody takes": lambda x: graphc.where(x > -9.0, x, float("nan")),
    "a limit that is a tensor": lambda x: x.clamp(min=graphc.constant(torch.zeros(2))).clamp(max=x * 0.5),
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("backend", ["reference", "c"])
def test_constants_may_be_infinite(name: str, backend: str) -> None:
    given = torch.tensor([1.0, -1.0])
    found = of(PASSING[name], given, backend=backend)(given)
    x = graphc.placeholder("x", (2,))
    assert torch.equal(found, graphc.compile([x], PASSING[name](x), backend=backend)(given))


def test_what_is_meant_is_not_stored() -> None:
    weight = graphc.Parameter(torch.ones(2), name="weight")
    bound = graphc.constant(torch.tensor([1.0, -INF]))
    program = graphc.compile([], [], {weight: graphc.minimum(weight, bound)}, backend="reference", nancheck=True)
    with pytest.raises(NonFiniteError, match=r"has -inf at \[1\], which gets into the new value of 'weight'; built at"):
        program()
    assert weight.value.tolist() == [1.0, 1.0]


def test_what_a_gradient_rule_takes_away_is_no_mistake() -> None:
    """The derivative of 0 ** p to p is 0; its rule takes the log of 0 on the way."""
    base = torch.tensor([0.0, 2.0])

    def function(exponent: Tensor) -> Tensor:
        return grad((graphc.constant(base) ** exponent).sum(), [exponent])[0]

    found = of(function, [2.0, 2.0])(torch.tensor([2.0, 2.0]))
    expected = torch.tensor([2.0, 2.0], requires_grad=True)
    (base**expected).sum().backward()
    torch.testing.assert_close(found, expected.grad)


def test_no_op_is_accused_where_torch_has_finite_results() -> None:
    """Every op on its samples, with its gradient: where all results are finite, nothing is raised."""
    generator = torch.Generator().manual_seed(3)
    checked = 0
    samples = {sample.op: sample for sample in SAMPLES if all(0 not in arg.shape for arg in sample.args)}
    for sample in samples.values():
        arrays = [each.draw(generator) for each in sample.args]
        inputs = [graphc.placeholder(f"x{k}", tuple(x.shape), x.dtype) for k, x in enumerate(arrays)]
        y = apply(sample.op, *inputs)
        outputs = [y]
        if y.dtype.is_floating_point:
            wanted = [x for x in inputs if x.dtype.is_floating_point]
            with contextlib.suppress(graphc.GradientError):
                outputs += grad(y.sum(), wanted) if wanted else []
        plain, strict = (
            graphc.compile(inputs, outputs, backend="reference", training=True, nancheck=check)
            for check in (False, True)
        )
        expected = plain(*arrays, state=plain.new_state())
        if all(bool(x.isfinite().all()) for x in expected):
            assert all(map(torch.equal, strict(*arrays, state=strict.new_state()), expected)), sample
            checked += 1
    assert checked > 0.9 * len(samples) > 40


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_bits_are_those_without_the_check(backend: str) -> None:
    states, histories = [], []
    for check in (False, True):
        program = trained(nn.MSELoss(), nn.Dropout(0.25), nn.Tanh(), backend=backend, nancheck=check)
        assert program.nancheck is check
        assert ("nancheck" in repr(program)) is check
        x, y = data()
        state = program.new_state(seed=1)
        history = program.fit(x, y, batch_size=5, epochs=4, state=state, validation=(x, y))
        program(x, y, state=state)
        states.append(values(state))
        histories.append(history["loss"] + history["validation_loss"])
    assert all(map(torch.equal, *states))
    assert histories[0] == pytest.approx(histories[1], rel=1e-12)


def test_fit_says_when_and_which_row() -> None:
    x, y = data()
    x[7, 0] = float("nan")
    program = trained(nn.MSELoss(), nn.Tanh())
    with pytest.raises(NonFiniteError, match=r"\n  in epoch 1, batch \d of 3: row 7 of the data$") as caught:
        program.fit(x, y, batch_size=5, epochs=2, seed=3)
    assert caught.value.is_input
    with pytest.raises(NonFiniteError, match=r"\n  in epoch 1, batch 2 of 3: row 7 of the data$"):
        program.fit(x, y, batch_size=5, epochs=2, shuffle=False)
    clean = data()
    with pytest.raises(NonFiniteError, match=r"\n  in validation after epoch 1, batch 2 of 3: row 7 of the data$"):
        program.fit(*clean, batch_size=5, epochs=2, validation=(x, y))
    with pytest.raises(NonFiniteError, match=r"\n  in evaluate, batch 1 of 1: row 7 of the data$"):
        program.evaluate(x, y)


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_a_run_that_diverges_keeps_the_state_of_its_last_good_step(backend: str) -> None:
    x, y = data()
    program = trained(lambda p, t: (p - t).square().square().mean(), lr=1e6, backend=backend)
    state = program.new_state(seed=2)
    with pytest.raises(NonFiniteError, match=r"(?s)square: makes inf .*lower the learning rate") as caught:
        program.fit(x, y, batch_size=5, epochs=50, state=state)
    found = re.search(r"in epoch (\d+), batch (\d) of 3$", str(caught.value))
    assert found is not None
    steps = 3 * (int(found[1]) - 1) + int(found[2]) - 1
    assert steps > 0
    assert state["step"].item() == steps
    assert all(bool(value.isfinite().all()) for value in values(state) if value.is_floating_point())


def test_a_backend_that_differs_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    program = trained(nn.MSELoss(), nn.Tanh(), backend="torch")
    before = values(program.state)
    executable = program._executable
    assert isinstance(executable, CheckedExecutable)
    bind = type(executable.inner).bind

    def faulty(self: object, sizes: Mapping[str, int], state: State) -> object:
        bound = bind(self, sizes, state)  # type: ignore[arg-type]
        run = bound.run

        def ruined(*inputs: torch.Tensor) -> object:
            results = run(*inputs)
            state["0.bias"][1] = INF
            return results

        monkeypatch.setattr(type(bound), "run", property(lambda self: ruined), raising=False)
        return bound

    monkeypatch.setattr(type(executable.inner), "bind", faulty)
    with pytest.raises(
        NonFiniteError, match=r"^the new value of '0\.bias': has inf at \[1\] on backend 'torch', while all values are"
    ):
        program(*data())
    assert all(map(torch.equal, values(program.state), before))


# Switching it on ------------------------------------------------------------------------------------------------------


def test_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHC_NANCHECK", raising=False)
    assert not trained(nn.MSELoss(), nancheck=None, backend="reference").nancheck
    for text, expected in {"1": True, "0": False, "": False}.items():
        monkeypatch.setenv("GRAPHC_NANCHECK", text)
        program = trained(nn.MSELoss(), nancheck=None, backend="reference")
        assert program.nancheck is program.evaluation.nancheck is expected
    monkeypatch.setenv("GRAPHC_NANCHECK", "1")
    assert not trained(nn.MSELoss(), nancheck=False, backend="reference").nancheck
    with pytest.raises(graphc.CompileError, match="nancheck is True, False or None, not 1"):
        trained(nn.MSELoss(), nancheck=1)


def test_what_else_a_program_does_works() -> None:
    program = trained(nn.MSELoss(), nn.Tanh(), backend="auto")
    assert program.torch_plan is not None
    assert program.source
    assert program.profile(*data(), seconds=0.01).rows
    assert program.summary()


def test_errors_travel_between_processes() -> None:
    with pytest.raises(NonFiniteError, match="log") as caught:
        of(lambda x: x.log(), [1.0, 0.0])(torch.tensor([1.0, 0.0]))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.index, again.is_input) == (str(caught.value), (1,), False)


def test_deep_graphs() -> None:
    with collector_paused():
        x = graphc.placeholder("x", (1,))
        y = x
        for _ in range(2000):
            y = y + 1.0
        program = graphc.compile([x], y.log(), backend="reference", nancheck=True)
    with pytest.raises(NonFiniteError, match=r"log\(0\) = -inf"):
        program(torch.tensor([-2000.0]))
