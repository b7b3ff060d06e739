"""What a report says, as tables: for the terminal and for the page, which are the same."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.benchmarks.contenders import CONTENDERS
from tools.benchmarks.workloads import WORKLOADS

Report = dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    title: str
    rows: list[list[object]]
    """The first has the heads; all columns but the first hold numbers."""

    def markdown(self) -> str:
        head, *rows = [[str(cell) for cell in row] for row in self.rows]
        rule = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def step_sheets(report: Report) -> Iterator[Sheet]:
    for threads, workloads in sorted(report.get("steps", {}).items()):
        for name, found in workloads.items():
            head = ["contender", "µs a step", "best round", "times faster", "to the first step", "memory", "loss"]
            rows: list[list[object]] = [head]
            for contender, figures in found.items():
                rows.append([CONTENDERS[contender].label, *_step_row(figures)])
            plural = "s" if int(threads) > 1 else ""
            yield Sheet(f"{name}: {WORKLOADS[name].title}; {threads} thread{plural}", rows)


def _step_row(figures: dict[str, Any]) -> list[object]:
    if "missing" in figures:
        return [figures["missing"], *[""] * 5]
    return [
        _digits(figures["step_us"]),
        _digits(figures["best_us"]),
        _digits(figures["times_faster"]) if "times_faster" in figures else "",
        f"{figures['first_step_s']:.2f} s",
        f"{figures['memory_mb']:.0f} MB",
        f"{figures['loss']:.7f}",
    ]


def start_sheets(report: Report) -> Iterator[Sheet]:
    if "start" not in report:
        return
    start = dict(report["start"])
    imports, chain = start.pop("import"), start.pop("chain")
    head = ["network", "C, nothing cached", "C, cached", "torch plan", "libraries", "with 5 more batch sizes"]
    rows: list[list[object]] = [head]
    for name, figures in start.items():
        times = [f"{figures[key] * 1e3:.0f} ms" for key in ("cold_s", "warm_s", "torch_plan_s")]
        rows.append([name, *times, figures["libraries"], figures["libraries_after_other_batches"]])
    yield Sheet("From `graphc.compile` to the end of the first step, in a fresh process", rows)
    yield Sheet(
        "Also in fresh processes",
        [
            ["what", "time"],
            ["`import graphc`, after torch", f"{imports['graphc_after_torch_s'] * 1e3:.0f} ms"],
            ["gradient and torch plan of a chain of 1,000 nodes", f"{chain['nodes_1000_s']:.2f} s"],
            ["the same of 10,000 nodes", f"{chain['nodes_10000_s']:.2f} s"],
        ],
    )


def accuracy_sheets(report: Report) -> Iterator[Sheet]:
    if "accuracy" not in report:
        return
    rows: list[list[object]] = [["network", "who", "loss, relative", "parameters, largest"]]
    for name, found in report["accuracy"].items():
        rows += [[name, who, f"{each['loss']:.1e}", f"{each['parameters']:.1e}"] for who, each in found.items()]
    yield Sheet("Differences from torch eager in float64 after 1,000 steps", rows)


def sweep_sheets(report: Report) -> Iterator[Sheet]:
    for threads, found in sorted(report.get("sweep", {}).items()):
        limit = f"{threads} × {found['peak_gflops']:.0f} GFLOP/s"
        for rows, columns in (("width", "batch"), ("depth", "activation"), ("optimiser", "width")):
            yield Sheet(
                f"`fit`, fraction of {limit}: by {rows} and {columns}", _fractions(found["cases"], rows, columns)
            )
        head = ["width", "depth", "activation", "optimiser", "batch"]
        slowest = sorted(found["cases"], key=lambda case: case["fraction"])[:10]
        lines = [
            [*[case[key] for key in head], f"{case['step_us']:.2f}", f"{case['fraction']:.1%}"] for case in slowest
        ]
        yield Sheet(f"Furthest from {limit}", [[*head, "µs a step", "fraction"], *lines])


def sheets(report: Report) -> Iterator[Sheet]:
    for section in (step_sheets, start_sheets, accuracy_sheets, sweep_sheets):
        yield from section(report)


def _digits(value: float) -> str:
    """Three of them, or all before the point."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _fractions(cases: list[dict[str, object]], rows: str, columns: str) -> list[list[object]]:
    """Medians over all else: a row for each value of one property, a column for each of another."""
    heads = sorted({case[columns] for case in cases})
    table: list[list[object]] = [[f"{rows} \\ {columns}", *heads]]
    for value in sorted({case[rows] for case in cases}):
        groups = [[c["fraction"] for c in cases if c[rows] == value and c[columns] == head] for head in heads]
        table.append([value, *[f"{statistics.median(group):.0%}" if group else "" for group in groups]])
    return table
