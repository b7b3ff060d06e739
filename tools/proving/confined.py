"""Native programs on memory that ends where their values end, so that each access outside is seen.

Everything that generated code is given (inputs, parameters, outputs, each buffer of the workspace, what `fit` gathers)
has an allocation of its own, as large as the value, or as its layout with the padding that the plan gave it.
`sanitize`: these come from malloc, around which AddressSanitizer watches; the caller has set it up. `end` and `start`:
they lie before or behind a page that nobody may touch, and the process ends by SIGSEGV where one is touched.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any
from unittest import mock

import torch

import graphc
from graphc import InputError, State, dims, nn, optim
from graphc.backends.c import executable, loop, source, writer
from graphc.types import TensorType
from tools.fuzzing import build, cases
from tools.fuzzing.inputs import laid_out

__all__ = ["WAYS", "exercise"]

Array = torch.Tensor
Place = Callable[[int], int]
"""Memory of so many bytes, as an address; it lasts as long as the process."""

WAYS = ("sanitize", "end", "start")
LARGEST_SIZE = 67
"""One more than two vectors of 64 bytes, two of 16 and one element: with 0, every way in which a row can end."""
PAGE = mmap.PAGESIZE
sum_text = writer.Writer.sum_text
PLANTED: dict[str, dict[str, Callable[..., object]]] = {
    "none": {},
    "store": {"_ends_row": lambda *arguments: True},  # whole vectors at the ends of rows
    "load": {"may_overrun": lambda *arguments: True},  # whole vectors from the ends of rows
    "before": {"sum_text": lambda *arguments: f"{sum_text(*arguments)} - 1"},  # all elements from one place before
}


def guarded(at_end: bool) -> Place:
    """Memory beside a page that nobody may touch."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    kept: list[mmap.mmap] = []

    def place(nbytes: int) -> int:
        inside = -(-max(nbytes, 1) // PAGE) * PAGE
        area = mmap.mmap(-1, inside + 2 * PAGE)
        kept.append(area)
        first = ctypes.addressof(ctypes.c_char.from_buffer(area))
        for forbidden in (first, first + PAGE + inside):
            if libc.mprotect(forbidden, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        return first + PAGE + (inside - nbytes if at_end else 0)

    return place


def allocated() -> Place:
    """Memory of torch's, which comes from malloc."""
    kept: list[Array] = []

    def place(nbytes: int) -> int:
        kept.append(torch.zeros(max(nbytes, 1), dtype=torch.uint8))
        return kept[-1].data_ptr()

    return place


def tensor(place: Place, type_: TensorType) -> Array:
    """A contiguous tensor in such memory."""
    numel, dtype = dims.evaluate(type_.numel, {}), type_.dtype
    shape = [dims.evaluate(size, {}) for size in type_.shape]
    if not numel:
        return torch.empty(shape, dtype=dtype)
    area = (ctypes.c_char * (numel * dtype.itemsize)).from_address(place(numel * dtype.itemsize))
    return torch.frombuffer(area, dtype=dtype).reshape(shape)


def placed(place: Place, value: Array) -> Array:
    return tensor(place, TensorType(tuple(value.shape), value.dtype)).copy_(value)


def confine(place: Place) -> Sequence[Any]:
    """Let native code have its memory from `place`."""

    class Bound(executable._NativeBound):
        def __init__(
            self, program: executable.NativeExecutable, sizes: Sequence[Mapping[str, int]], state: State
        ) -> None:
            super().__init__(program, sizes, state)
            for buffer in program.plan.slot_of:
                self.table[buffer.index] = place(max(dims.evaluate(buffer.nbytes, each) for each in sizes))

    class Torch:
        """torch, whose empty tensors are placed: the outputs."""

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

        @staticmethod
        def empty(shape: Sequence[int], dtype: torch.dtype, device: str) -> Array:
            return tensor(place, TensorType(tuple(shape), dtype))

    def room(self: loop.NativeLoop, nbytes: int) -> int:
        return place(nbytes)

    return [
        mock.patch.object(executable, "_NativeBound", Bound),
        mock.patch.object(executable, "torch", Torch()),
        mock.patch.object(loop.NativeLoop, "_bytes", room),
    ]


class Wide(build.Builder):
    """Graphs whose known sizes go from 0 to LARGEST_SIZE, too."""

    def static_size(self) -> int:
        return self.random.randint(0, LARGEST_SIZE) if self.chance(0.4) else super().static_size()


def exercise(seed: int, place: Place) -> int:
    """One random graph, called with many sizes, and trained if it can be. How often native code was entered."""
    choose = random.Random(f"confined {seed}")
    os.environ["GRAPHC_VECTOR_BYTES"] = str(choose.choice([16, 32, 64]))
    shared = choose.random() < 0.4
    with (
        mock.patch.object(writer, "WORTH_THREADS", 1 if shared else writer.WORTH_THREADS),
        mock.patch.object(source, "WORTH_THREADS", 1 if shared else source.WORTH_THREADS),
    ):
        return (_trained if choose.random() < 0.3 else _fuzzed)(seed, choose, place, 2 if shared else 1)


def _fuzzed(seed: int, choose: random.Random, place: Place, threads: int) -> int:
    with mock.patch.object(cases, "Builder", Wide), mock.patch.object(build, "MAX_ELEMENTS", 20_000):
        case = cases.build(seed, choose.randint(1, 12))
    try:
        program = graphc.compile(
            list(case.inputs), dict(case.outputs), dict(case.updates), backend="c", threads=threads
        )
    except graphc.CompileError:  # float16, of which there is no native code
        return 0
    _place_cells(program.state, place)
    entered = 0
    for k in range(8):
        sizes = {name: choose.choice([0, 1, choose.randint(0, LARGEST_SIZE)]) for name in program.graph.symbols}
        shapes = [[dims.evaluate(size, sizes) for size in x.shape] for x in case.inputs]
        if any(size < 0 for shape in shapes for size in shape):
            continue
        generator = torch.Generator().manual_seed(seed + k)
        drawn = [
            build.draw(case.draws[x.node], shape, generator, case.is_wild) for x, shape in zip(case.inputs, shapes)
        ]
        inputs = [placed(place, x) if choose.random() < 0.7 else laid_out(choose, x)[0] for x in drawn]
        try:
            program(*inputs)
            entered += 1
            if k == 7 and choose.random() < 0.3:
                program.profile(*inputs, seconds=0.0)
        except InputError:  # sizes that an op refuses
            continue
    return entered


ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus, nn.Identity, lambda: nn.Dropout(0.3))


def _trained(seed: int, choose: random.Random, place: Place, threads: int) -> int:
    """A network of any widths, trained in batches of which the last is smaller."""
    torch.manual_seed(seed)
    warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
    widths = [choose.randint(0 if k else 1, LARGEST_SIZE) for k in range(choose.randint(2, 4))]
    layers: list[nn.Module] = []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other, bias=choose.random() < 0.8), choose.choice(ACTIVATIONS)()]
    x = graphc.placeholder("x", ("batch", widths[0]))
    y = nn.Sequential(*layers)(x)
    if choose.random() < 0.3:
        y = graphc.cat([y, x], dim=1).softmax(dim=-1)
    t = graphc.placeholder("t", ("batch", y.shape[-1]))
    loss = nn.MSELoss()(y, t)
    parameters = nn.Sequential(*layers).parameters()
    optimizer: optim.Optimizer
    if choose.random() < 0.5:
        optimizer = optim.SGD(parameters, 0.01, momentum=choose.choice([0, 0.9]))
    else:
        optimizer = optim.Adam(parameters, 0.01)
    program = graphc.compile([x, t], {"loss": loss, "y": y}, optimizer.minimize(loss), backend="c", threads=threads)
    _place_cells(program.state, place)

    def data(samples: int) -> list[Array]:
        return [placed(place, torch.rand(samples, dims.evaluate(each.shape[1], {}))) for each in (x, t)]

    samples, batch = choose.randint(1, LARGEST_SIZE), choose.randint(1, LARGEST_SIZE)
    validation = data(choose.randint(1, LARGEST_SIZE)) if choose.random() < 0.6 else None
    epochs = choose.randint(1, 3)
    program.fit(*data(samples), batch_size=batch, epochs=epochs, shuffle=choose.random() < 0.7, validation=validation)
    for samples in (0, 1, choose.randint(2, LARGEST_SIZE)):
        program(*data(samples))
    program.evaluate(*data(choose.randint(1, LARGEST_SIZE)), batch_size=choose.randint(1, LARGEST_SIZE))
    return 4 + epochs


def _place_cells(state: State, place: Place) -> None:
    for cell in state.cells:
        state.place(cell, placed(place, state.read(cell)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", choices=WAYS, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--planted", choices=list(PLANTED), default="none")
    given = parser.parse_args()
    for name, function in PLANTED[given.planted].items():
        setattr(writer.Writer, name, function)
    entered = 0
    for way in given.ways:
        place = allocated() if way == "sanitize" else guarded(way == "end")
        with ExitStack() as stack:
            for patch in confine(place):
                stack.enter_context(patch)
            for seed in given.seeds:
                print("seed", seed, way, flush=True)  # the last one that is printed is the one that broke
                entered += exercise(seed, place)
    print("done", entered, flush=True)


if __name__ == "__main__":
    main()
