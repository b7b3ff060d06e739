"""Measure graphc against other frameworks and C by hand, side by side; show tables, write JSON and docs/performance.md.

    python tools/bench.py                                            # training steps, start-up, accuracy; one thread
    python tools/bench.py --only disk_sgd --contenders eager fit --rounds 15
    python tools/bench.py --threads 1 2 --peers-python ~/peers/bin/python --json out/bench.json
    python tools/bench.py --sweep --json out/bench.json              # `fit` over sizes; adds to what the file has
    python tools/bench.py --render --json out/bench.json --page docs/performance.md

Contenders whose package is not installed are said to be so and left out. Exits with 1 when losses differ
or torch or graphc fails.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.benchmarks.contenders import CONTENDERS, ROOT, Contender, WorkerError, interpreter, version
from tools.benchmarks.page import page
from tools.benchmarks.rounds import LossMismatch, measure
from tools.benchmarks.start import measure_start
from tools.benchmarks.tables import Report, Sheet, sheets
from tools.benchmarks.workloads import WORKLOADS


def main(arguments: list[str] | None = None) -> int:
    args = _arguments(arguments)
    report = _read(args.json)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if not args.render:
        try:
            with console.status("starting") as status:
                _measure(args, report, lambda message: status.update(message))
        except (LossMismatch, WorkerError) as problem:
            what = "losses differ" if isinstance(problem, LossMismatch) else "a contender failed"
            console.print(f"{what}: {problem}", style="red", markup=False)
            return 1
    for sheet in sheets(report):
        console.print(_rich(sheet))
    if args.page:
        args.page.write_text(page(report), encoding="utf-8")
    return 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), help="workloads")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="one run for each of these numbers")
    parser.add_argument("--peers-python", help="interpreter of an environment with JAX and PyTensor")
    parser.add_argument("--steps", action="store_true", help="measure training steps")
    parser.add_argument(
        "--start", action="store_true", help="measure start-up and accuracy (default: this and --steps)"
    )
    parser.add_argument("--sweep", action="store_true", help="measure `fit` over many sizes")
    parser.add_argument("--quick", action="store_true", help="short rounds, few sizes: to see that all runs")
    parser.add_argument("--json", type=Path, help="file to add the numbers to")
    parser.add_argument("--page", type=Path, help="Markdown file to write from the numbers")
    parser.add_argument("--render", action="store_true", help="measure nothing: tables and page from --json")
    args = parser.parse_args(arguments)
    if args.render and not args.json:
        parser.error("--render needs --json, the file to read")
    if not (args.steps or args.start or args.sweep):
        args.steps = args.start = True
    return args


def _read(path: Path | None) -> Report:
    return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}


def _write(path: Path | None, report: Report) -> None:
    """Often, since a run takes long and what follows may fail."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _measure(args: argparse.Namespace, report: Report, say: Any) -> None:
    report["machine"] = _machine()
    seconds, rounds = (0.02, 2) if args.quick else (0.15, args.rounds)
    for threads in args.threads if args.steps else ():
        _note(report, f"steps, threads: {threads}")
        installed = _installed(args, report)
        kept = report.setdefault("steps", {}).setdefault(str(threads), {})
        for name in args.only:
            kept[name] = measure(WORKLOADS[name], args.contenders, rounds, threads, seconds, installed, say)
            _write(args.json, report)
    if args.start:
        _note(report, "start and accuracy")
        say("imports and compilation in fresh processes")
        report["start"] = measure_start(1 if args.quick else 5)
        say("accuracy after 1,000 steps")
        report["accuracy"] = _printed("accuracy")
        _write(args.json, report)
    for threads in args.threads if args.sweep else ():
        say(f"sweep with {threads} threads, which takes minutes")
        _note(report, f"sweep, threads: {threads}")
        settings = (str(seconds / 2), str(threads), "40" if args.quick else "1")
        report.setdefault("sweep", {})[str(threads)] = _printed("sweep", *settings)
        _write(args.json, report)


def _installed(args: argparse.Namespace, report: Report) -> Any:
    """Gives the interpreter of a contender, or None."""
    versions = report.setdefault("versions", {})

    @functools.cache
    def python_of(contender: Contender) -> str | None:
        python = interpreter(contender, args.peers_python)
        found = version(contender, python)
        if found:
            versions[contender.package] = found
        return python if found else None

    return python_of


def _printed(module: str, *arguments: str) -> dict[str, Any]:
    """The JSON that a module prints, run by itself, so that this process stays small and idle."""
    command = [sys.executable, "-m", f"tools.benchmarks.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def _machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": processor,
        "processors": os.cpu_count(),
        "memory_gb": memory,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def _note(report: Report, section: str) -> None:
    """When and how a section was measured, for whoever doubts it."""
    real_time = os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    report.setdefault("runs", {})[section] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load": os.getloadavg()[0],
        "scheduling": "real-time priority" if real_time else "ordinary priority",
        "command": shlex.join(["bench.py", *sys.argv[1:]]),
    }


def _rich(sheet: Sheet) -> Table:
    head, *rows = sheet.rows
    table = Table(title=sheet.title)
    for i, name in enumerate(head):
        table.add_column(str(name), justify="right" if i else "left")
    for row in rows:
        table.add_row(*map(str, row))
    return table


if __name__ == "__main__":
    sys.exit(main())
