"""What graphc finds on this machine: each thing tried, what does not work, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from graphc import nn, optim
from graphc.backends.c import cache
from graphc.backends.c.build import trial
from graphc.backends.c.compiler import (
    cpu_identity,
    flags,
    need_compiler,
    processor,
    vector_bytes,
)
from graphc.cli.settings import KNOWN, OTHERS, wrong
from graphc.cli.system import cores, memory, rounds_to_nearest
from graphc.compiler import BACKENDS
from graphc.compiler import compile as compile_graph
from graphc.errors import CompileError, one_line
from graphc.ops import placeholder
from graphc.runtime import Program

__all__ = ["Finding", "as_data", "examine", "native"]

OK, NOTE, BAD = "ok", "note", "bad"

FEATURES = ("avx512f", "avx2", "avx", "fma", "asimd", "sve")
PACKAGES = {
    "matplotlib": 'history.plot and graphc-bench need it: pip install "graphc[plot]"',
    "safetensors": "checkpoints need it: pip install safetensors",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `state` is "ok", "bad" for what does not work, or "note" for what is odd."""

    title: str
    state: str
    text: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Everything, as it is found. Nothing that goes wrong ends it."""
    told: dict[str, str] = {}
    for title, look in LOOKS.items():
        for finding in _looked(title, look):
            named = finding if finding.title else replace(finding, title=title)
            first = told.setdefault(named.text, title) if named.state == BAD else title
            yield named if first == title else replace(named, text=f"see {first}", remedy="")


def _looked(title: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found.extend(look())
        except CompileError as error:
            found.append(_bad(error))
        except Exception as error:  # whatever it is, the rest is worth knowing, too
            remedy = "this is a fault of graphc, or of what it found: please report it with `graphc doctor --json`"
            found.append(Finding(title, BAD, f"{type(error).__name__}: {error}", remedy))
    notes = [_note(str(each.message)) for each in said]
    return list(dict.fromkeys([*found, *notes]))  # each backend says what keeps all of them from compiling


def native(findings: list[Finding]) -> bool:
    """Whether programs can be compiled to native code here."""
    return all(finding.state != BAD for finding in findings)


def as_data(findings: list[Finding]) -> dict[str, Any]:
    """For a report of a bug."""
    return {
        "graphc": version("graphc"),
        "native": native(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def _ok(text: str, title: str = "") -> Finding:
    return Finding(title, OK, one_line(text))


def _bad(error: CompileError) -> Finding:
    return Finding("", BAD, str(error).removeprefix("C compiler: "))


def _note(text: str, remedy: str = "", title: str = "") -> Finding:
    return Finding(title, NOTE, text, remedy)


# What there is --------------------------------------------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    yield _ok(f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}")


def _graphc() -> Iterator[Finding]:
    yield _ok(f"{version('graphc')}, {Path(__file__).parent.parent}")


def _system() -> Iterator[Finding]:
    yield _ok(platform.platform())


def _torch() -> Iterator[Finding]:
    mathematics = "MKL" if "mkl" in torch.__config__.show().lower() else "another BLAS"
    yield _ok(f"{torch.__version__}, {mathematics}, {torch.get_default_dtype()} by default")
    if (device := torch.get_default_device()).type != "cpu":
        yield _note(f"the default device is {device}; native code runs on the CPU, other devices as torch calls")


def _gpu() -> Iterator[Finding]:
    if not torch.cuda.is_available():
        yield _ok("none that torch can use, and none is needed: native code runs on the CPU")
        return
    names = ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
    yield _ok(f"{names}: programs run there as torch calls (backend 'torch' or 'auto')")


def _processor() -> Iterator[Finding]:
    width = vector_bytes()
    known = " ".join(name for name in FEATURES if name in cpu_identity().split())
    yield _ok(
        f"{processor() or 'of unknown name'}, {platform.machine()}, vectors of {width} bytes ({known or 'plain'})"
    )
    if setting := os.environ.get("GRAPHC_VECTOR_BYTES"):
        yield _note(f"GRAPHC_VECTOR_BYTES={setting} chooses the length of vectors", "unset it for the best one")


def _cores() -> Iterator[Finding]:
    share, threads = cores(), torch.get_num_threads()
    limited = f", of which this process may use {share.usable:g}" if share.usable < share.there else ""
    yield _ok(f"{share.there:g}{limited}; torch uses {threads} thread{'s' * (threads != 1)}")
    if threads > max(1.0, share.usable):
        remedy = f"set OMP_NUM_THREADS={max(1, int(share.usable))}, or call torch.set_num_threads"
        yield _note("more threads than processors that may be used: they wait for each other", remedy)


def _memory() -> Iterator[Finding]:
    if (share := memory()) is None:
        yield _ok("this system does not tell")
        return
    yield _ok(f"{share.there / 1e9:.1f} GB, of which {share.usable / 1e9:.1f} GB can be had")
    if share.usable < 500e6:
        yield _note("C compilers need some hundred MB for a large program", "make room, or allow the container more")


def _numbers() -> Iterator[Finding]:
    if not rounds_to_nearest():
        yield _note("sums are not rounded to nearest", "find the library that changed it, and load graphc before it")
    tiny = torch.full((4,), 2.0**-140, device="cpu")
    if sys.float_info.min / 2 == 0 or not (tiny * 0.5 > 0).all():
        text = "denormal numbers are flushed to zero, which torch does not do by itself"
        yield _note(text, "call torch.set_flush_denormal(False), and avoid libraries linked with -ffast-math")
    else:
        yield _ok("rounded to nearest, denormal numbers are kept")


# Native code ----------------------------------------------------------------------------------------------------------


def _compiler() -> Iterator[Finding]:
    compiler = need_compiler()
    yield _ok(f"{compiler.version}: {shlex.join(compiler.command)}")
    yield _ok(" ".join(flags()), "flags")


def _cache() -> Iterator[Finding]:
    place = cache.folder()  # warns where that is not the chosen one
    if place == cache.chosen():
        kept = cache.entries()
        size = sum(entry.size for entry in kept)
        count = f"{len(kept)} program{'s' * (len(kept) != 1)}, {size / 1e6:.1f} of at most {cache.limit() / 1e6:.1f} MB"
        free = shutil.disk_usage(place).free
        yield _ok(f"{place}: private, {count}")
        if free < 50e6:
            yield _note(f"the disk has {free / 1e6:.0f} MB left", "make room, or set GRAPHC_CACHE_DIR to another one")
    else:
        yield _note(f"for this process only, {place}")


def _trial() -> Iterator[Finding]:
    start = time.perf_counter()
    trial(need_compiler())
    yield _ok(f"a small C program was compiled, loaded and run in {(time.perf_counter() - start) * 1e3:.0f} ms")


def _training() -> Iterator[Finding]:
    """A network on each backend for a few steps. All start alike, and must agree."""
    expected: torch.Tensor | None = None
    for name in reversed(BACKENDS):  # the reference comes first
        start = time.perf_counter()
        try:
            losses = _losses(_network(name))
        except CompileError as error:  # the others may work
            yield _bad(error)
            continue
        seconds = time.perf_counter() - start
        expected = losses if expected is None else expected
        apart = float((losses - expected).abs().max())
        if apart < 1e-9:
            yield _ok(
                f"{name}: a small network was compiled and trained in {seconds * 1e3:.0f} ms, with the right losses"
            )
        else:
            text = f"{name}: the losses of a small network are {apart:.1e} from those of the reference"
            yield Finding("", BAD, text, "please report this with `graphc doctor --json`")


def _network(backend: str) -> Program:
    x = placeholder("x", shape=("batch", 2), dtype=torch.float64)
    y = placeholder("y", shape=("batch", 1), dtype=torch.float64)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    loss = nn.MSELoss()(net(x), y)
    return compile_graph([x, y], loss, updates=optim.Adam(net.parameters()).minimize(loss), backend=backend)


def _losses(program: Program) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(16, 2, generator=generator, dtype=torch.float64)
    y = x.sum(dim=1, keepdim=True)
    return torch.stack([program(x, y) for _ in range(5)])


# Around it ------------------------------------------------------------------------------------------------------------


def _drawing() -> Iterator[Finding]:
    if (dot := shutil.which("dot")) is not None:
        yield _ok(f"Graphviz, {dot}")
    elif importlib.util.find_spec("pygraphviz") is not None:
        yield _ok(f"the engine inside pygraphviz {version('pygraphviz')}")
    else:
        remedy = "install Graphviz (apt install graphviz, brew install graphviz) or pygraphviz (pip install pygraphviz)"
        yield _note("nothing lays out graphs, so graphc-viz writes .dot and .html only", remedy)


def _packages() -> Iterator[Finding]:
    for name, purpose in PACKAGES.items():
        try:
            yield _ok(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield _note(f"{name} is not installed", purpose)
    if importlib.util.find_spec("ziglang") is not None:
        yield _ok(f"ziglang {version('ziglang')}, a C compiler where there is no other")


def _settings() -> Iterator[Finding]:
    for name in (*KNOWN, *OTHERS):
        if name in os.environ:
            yield _ok(f"{name}={os.environ[name]}")
    for name, problem, fatal in wrong():
        yield Finding("", BAD if fatal else NOTE, f"{name}: {problem}")


LOOKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "graphc": _graphc,
    "Python": _python,
    "system": _system,
    "torch": _torch,
    "GPU": _gpu,
    "processor": _processor,
    "cores": _cores,
    "memory": _memory,
    "numbers": _numbers,
    "C compiler": _compiler,
    "cache": _cache,
    "trial": _trial,
    "training": _training,
    "drawing": _drawing,
    "packages": _packages,
    "settings": _settings,
}
