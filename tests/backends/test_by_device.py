"""What `auto` chooses: native code where it can be and pays, else torch calls; and that programs say so."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch

import graphc
from graphc import CompileError, Parameter, StateError
from graphc import compiler as compiler_module
from graphc.backends.by_device import ByDevice
from graphc.backends.c import NativeExecutable
from graphc.backends.c import compiler as c_compiler
from graphc.backends.torch_plan import TorchExecutable
from graphc.schedule import Schedule

X = graphc.placeholder("x", ("n", 2))
ONES = torch.ones(3, 2)


def says(program: graphc.Program, reason: str) -> None:
    """Runs as torch calls, and says why."""
    assert program.backend == "torch"
    assert isinstance(program._executable, TorchExecutable)
    assert reason in program.explain().splitlines()[0]


def test_programs_of_many_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    y = X
    for _ in range(6):
        y = y @ y.mT @ y
    assert graphc.compile([X], y).backend == "c"
    monkeypatch.setattr(compiler_module, "MOST_KERNELS", 10)
    program = graphc.compile([X], y)
    says(program, "a C compiler takes long over more than 10 kernels; backend 'c' does it still")
    assert isinstance(program.schedule, Schedule)
    assert graphc.compile([X], y, backend="c").backend == "c"


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "f16"), (torch.bfloat16, "bf16")])
def test_halves(dtype: torch.dtype, name: str) -> None:
    y = X.to(dtype) * 2.0
    says(graphc.compile([X], y), f" is {name}, which C does not have")
    with pytest.raises(
        CompileError, match=rf"^compile: backend 'c': cast at .*\.py:\d+ is {name}, which C does not ha"
    ):
        graphc.compile([X], y, backend="c")


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(c_compiler, "_found", {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    compiler_module._say_once.cache_clear()
    yield
    compiler_module._say_once.cache_clear()


@pytest.mark.usefixtures("no_compiler")
def test_no_compiler() -> None:
    """One warning in a process; every program says it."""
    with pytest.warns(
        RuntimeWarning, match=r"^graphc: no C compiler was found, so programs run as torch calls"
    ) as seen:
        programs = [graphc.compile([X], X * factor) for factor in (2.0, 3.0)]
    assert len(seen) == 1
    assert seen[0].filename == __file__, "whoever compiles is warned"
    for program in programs:
        says(program, "no C compiler was found; set CC, or install a C compiler")
    assert torch.equal(programs[0](ONES), ONES * 2.0)
    with pytest.raises(CompileError, match="there is none on this machine"):
        graphc.compile([X], X, backend="c")


@pytest.mark.usefixtures("no_compiler")
def test_other_backends_need_no_compiler() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for backend in ("torch", "reference"):
            graphc.compile([X], X * 2.0, backend=backend)


def test_values_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device stands for a GPU: native code refuses it, and `auto` runs torch calls there."""
    monkeypatch.setattr("graphc.state.NO_VALUES", "none")
    p = Parameter(torch.ones(2), name="p")
    program = graphc.compile([X], X * p, {p: p + 1.0}, backend="c")
    state, far = program.new_state().to("meta"), ONES.to("meta")
    with pytest.raises(StateError, match=r"native code runs on the CPU, and the State is on meta\. Compile for 'auto'"):
        program(far, state=state)
    with pytest.raises(StateError, match=r"native code runs on the CPU, and the State is on meta"):
        program.fit(far, batch_size=2, epochs=1, state=state, progress=False)
    program = graphc.compile([X], X * p, {p: p + 1.0})
    executable = program._executable
    assert isinstance(executable, ByDevice)
    assert isinstance(executable.native, NativeExecutable)
    state = program.new_state()
    assert torch.equal(program(ONES, state=state), ONES)
    assert "other" not in vars(executable), "torch calls are planned when they are needed"
    result = program(far, state=state.to("meta"))
    assert (result.device.type, result.shape) == ("meta", (3, 2))
    assert isinstance(executable.other, TorchExecutable)
    state = program.new_state()
    assert torch.equal(program(ONES, state=state), ONES)
    assert state["p"].tolist() == [2.0, 2.0]
