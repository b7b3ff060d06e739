"""docs/performance.md, from the JSON of the benchmark: every number on the page is one of its."""

from __future__ import annotations

from collections.abc import Iterable

from tools.benchmarks.tables import Report, Sheet, accuracy_sheets, start_sheets, step_sheets, sweep_sheets

INTRODUCTION = """\
# Performance

`tools/bench.py` wrote this page, from what it measured; edit that, not this. [CONTRIBUTING](../CONTRIBUTING.md) says
how to run it.

## Method

A training step is forward, loss, backward and update, on batches in order, from data in memory, in float32. All
contenders of a workload start from the same weights, and the run fails unless the mean loss of a later epoch is the
same for all, to one part in 10,000.

Each contender lives in a process of its own, which may run on as many processors as it has threads. In each round all
of them train for a while, one after the other, so that a slow moment of the machine hits all. A time is the median of
the rounds; *times faster* is the median of the rounds' ratios to torch eager, and not the ratio of the medians. *To the
first step* is from building the model to the end of its first step, with all caches empty and imports not counted.
*Memory* is the largest resident set of the process, with libraries and data, without compilers that it starts.

torch eager is `nn.Module`, `loss.backward()` and `torch.optim` as they come. torch.compile is there twice: the whole
step as one function (`torch.func`, updates in place), and forward and backward compiled, with torch's fused optimiser.
JAX is one jitted step with donated buffers, called from Python, and the same under `lax.scan` over the batches of an
epoch. PyTensor is a function with updates, in its default mode. C by hand is `tools/benchmarks/reference.c`, an epoch
a call, and for the small networks always one thread; it is compiled with `-ffast-math`, so that numbers below 1e-38
count as 0. graphc computes with them, as torch does: the running means that Adam has for dead units get so small, and
the processor takes longer over them. `torch.set_flush_denormal(True)` flushes them in native code, too, and is there as
a contender of its own."""

NOT_MEASURED = """\
## What is not measured

Loading and shuffling of data, validation, GPUs, float64 speed, networks with other than fully connected layers, several
programs at a time, and machines other than this one. Accuracy is that of these networks on these data. The limit that
`fit` is compared with counts matrix products only, not activations, optimiser or memory."""


def page(report: Report) -> str:
    parts = [INTRODUCTION, _machine(report)]
    parts += _section("## Training steps", step_sheets(report))
    parts += _section("## Before the first step", start_sheets(report))
    parts += _section("## Accuracy", accuracy_sheets(report))
    parts += _section("## Small networks against the processor's limit", sweep_sheets(report))
    return "\n\n".join([*parts, NOT_MEASURED]) + "\n"


def _machine(report: Report) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    size = f"{machine['processors']} processors, {machine['memory_gb']:.0f} GB"
    runs = [
        f"- {section}: {run['date']}, load {run['load']:.1f} before, {run['scheduling']}, `{run['command']}`"
        for section, run in report["runs"].items()
    ]
    return "\n\n".join(
        ["## Machine", f"{machine['processor']}, {size}, {machine['system']}; {versions}.", "\n".join(runs)]
    )


def _section(heading: str, sheets: Iterable[Sheet]) -> list[str]:
    tables = [f"### {sheet.title}\n\n{sheet.markdown()}" for sheet in sheets]
    return [heading, *tables] if tables else []
