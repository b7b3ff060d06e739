"""The shape of the source, as rules that a machine can check: who may import whom, and what no file may contain.

Each rule is a function from a `Source` to findings. It runs twice: on this checkout, where it must find nothing, and
on small bad trees, where it must find exactly what is wrong. A rule that cannot fail proves nothing.
"""

from __future__ import annotations

import ast
import functools
import io
import itertools
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import networkx
import pytest

# A room imports from itself and from the rooms before it. `graphc/__init__.py` may import all; nobody imports it.
ROOMS = [
    "errors",
    "capacity",
    "files",
    "dims",
    "types",
    "expr",
    "ir",
    "ops",
    "gradient",
    "state",
    "nn",
    "optim",
    "passes",
    "schedule",
    "memory",
    "backends",
    "runtime",
    "compiler",
    "viz",
    "bench",
    "cli",
]

# (importer, imported): apart although the order would allow it, with the reason.
APART = {
    ("optim", "nn"): "layers and update rules only build graph and know nothing of each other",
    ("viz", "passes"): "drawing reads stages and never reaches into passes",
}

# Packages that cost start-up time: imported inside the functions that need them, except in these modules and rooms.
SLOW_PACKAGES = {
    "click": (
        *("graphc.viz.command", "graphc.viz.arguments", "graphc.viz.group", "graphc.viz.completion"),
        *("graphc.bench", "graphc.cli"),
    ),
    "graphviz": (),
    "matplotlib": (),
    "networkx": (),
    "pygraphviz": (),
    "rich": (),
    "safetensors": (),
    "scipy": (),
}

# (module, imported): loaded when it is first asked for, with the reason.
LAZY = {
    ("graphc", "graphc.viz"): "drawing is half of all modules, and most programs draw nothing",
}

MAX_LINES = 600
EMPTY_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
PICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
PICKLING_CALLS = {"torch.load", "torch.save"}
GENERATED_PYTHON_ROOM = "graphc.backends.torch_plan"  # one module in here may call exec and compile


class Finding(NamedTuple):
    """One broken rule at one place."""

    path: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"


class Import(NamedTuple):
    """One imported name, `graphc.ir.node.Node` say, and where it stands."""

    target: str
    line: int
    at_import_time: bool  # not inside a function
    for_types_only: bool  # directly in a module-level `if TYPE_CHECKING:`
    at_top: bool  # directly in the module's body


@dataclass(frozen=True)
class File:
    """One parsed source file; `module` is its dotted name."""

    path: str
    module: str
    text: str
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def folder(self) -> str:
        return self.path.split("/")[0]

    @property
    def room(self) -> str:
        """The part after `graphc.`, or nothing for `graphc/__init__.py` and `graphc/__main__.py`."""
        part = self.module.removeprefix("graphc").removeprefix(".").split(".")[0]
        return "" if part == "__main__" else part


@dataclass(frozen=True)
class Source:
    """All Python files of a checkout that the rules look at."""

    files: tuple[File, ...]

    @classmethod
    def read(cls, root: Path) -> Source:
        paths = (p for folder in ("graphc", "tests", "tools", "examples") for p in (root / folder).rglob("*.py"))
        return cls(tuple(_parse(root, path) for path in sorted(paths)))

    def under(self, *folders: str) -> list[File]:
        return [file for file in self.files if file.folder in folders]


def _parse(root: Path, path: Path) -> File:
    name = path.relative_to(root)
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, filename=str(path))
    is_package = path.name == "__init__.py"
    parts = name.with_suffix("").parts[: -1 if is_package else None]
    package = parts if is_package else parts[:-1]
    return File(name.as_posix(), ".".join(parts), text, tree, tuple(_imports(tree, package)))


def _imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[Import]:
    pending: list[tuple[ast.AST, bool, bool, bool]] = [(n, True, False, True) for n in tree.body]
    while pending:
        node, at_import_time, for_types_only, at_top = pending.pop()
        for target in _targets(node, package):
            yield Import(target, getattr(node, "lineno", 1), at_import_time, for_types_only, at_top)
        types_body: list[ast.stmt] = []
        if at_top and isinstance(node, ast.If) and _dotted(node.test).endswith("TYPE_CHECKING"):
            types_body = node.body
        at_import_time = at_import_time and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending += [(child, at_import_time, child in types_body, False) for child in ast.iter_child_nodes(node)]


def _targets(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    """The dotted names that this one statement or call imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            prefix = package[: len(package) - level + 1] if level else ()
            base = ".".join((*prefix, *([module] if module else ())))
            return [f"{base}.{alias.name}" for alias in names]
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _dotted(func) in {
            "__import__",
            "import_module",
            "importlib.import_module",
        }:
            return [name if not name.startswith(".") else ".".join((*package, name.lstrip(".")))]
    return []


def _dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of attributes of a name, or nothing."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def _is_graphc(target: str) -> bool:
    return target.split(".")[0] == "graphc"


# The rules ------------------------------------------------------------------------------------------------------------


def layers(source: Source) -> Iterator[Finding]:
    """Imports only point up the list of rooms; imports for types count."""
    for file in source.under("graphc"):
        if not file.room:
            continue
        if file.room not in ROOMS:
            yield Finding(file.path, 1, f"'{file.room}' is not a room; the rooms are {', '.join(ROOMS)}")
            continue
        for found in file.imports:
            if not _is_graphc(found.target):
                continue
            room = (found.target.split(".")[1:] or [""])[0]
            if room not in ROOMS:
                problem = f"imports {found.target} from the package itself; import it from the room where it lives"
            elif ROOMS.index(room) > ROOMS.index(file.room):
                problem = f"'{file.room}' imports {found.target}, but '{room}' comes after it in the list of rooms"
            elif (file.room, room) in APART:
                problem = f"'{file.room}' imports {found.target}: {APART[file.room, room]}"
            else:
                continue
            yield Finding(file.path, found.line, problem)


def cycles(source: Source) -> Iterator[Finding]:
    """No import cycles between modules. Imports for types only are exempt: they do not run."""
    modules = {file.module: file for file in source.under("graphc")}
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for file in modules.values():
        for found in file.imports:
            if _is_graphc(found.target) and not found.for_types_only:
                target = found.target if found.target in modules else found.target.rpartition(".")[0]
                if target in modules:
                    graph.add_edge(file.module, target, line=found.line)
    for component in networkx.strongly_connected_components(graph):
        inside = graph.subgraph(component)
        if inside.number_of_edges() == 0:
            continue
        circle = [a for a, _ in networkx.find_cycle(inside, min(component))]
        first = min(range(len(circle)), key=circle.__getitem__)
        circle = [*circle[first:], *circle[: first + 1]]
        steps = [f"{modules[a].path}:{graph[a][b]['line']} imports {b}" for a, b in itertools.pairwise(circle)]
        yield Finding(modules[circle[0]].path, graph[circle[0]][circle[1]]["line"], "cycle: " + ", ".join(steps))


def import_places(source: Source) -> Iterator[Finding]:
    """Imports of graphc stand at the top of a module, or directly in its `if TYPE_CHECKING:`."""
    for file in source.under("graphc"):
        for found in file.imports:
            is_lazy = (file.module, found.target) in LAZY
            if _is_graphc(found.target) and not (found.at_top or found.for_types_only or is_lazy):
                problem = f"imports {found.target} inside a function or block; move it to the top of the module"
                yield Finding(file.path, found.line, problem)


def slow_imports(source: Source) -> Iterator[Finding]:
    """Packages that are slow to import are imported where they are used."""
    for file in source.under("graphc"):
        for found in file.imports:
            package = found.target.split(".")[0]
            if package not in SLOW_PACKAGES or not found.at_import_time or found.for_types_only:
                continue
            if not any(f"{file.module}.".startswith(f"{place}.") for place in SLOW_PACKAGES[package]):
                problem = f"imports {package} when it is loaded, which is slow; import it inside the function"
                yield Finding(file.path, found.line, problem)


def file_sizes(source: Source) -> Iterator[Finding]:
    """No file is longer than MAX_LINES."""
    for file in source.files:
        count = len(file.text.splitlines())
        if count > MAX_LINES:
            yield Finding(file.path, MAX_LINES + 1, f"{count} lines, more than {MAX_LINES}: split it")


def file_names(source: Source) -> Iterator[Finding]:
    """A module's name says what is in it."""
    for file in source.files:
        for part in file.module.split("."):
            if part in EMPTY_NAMES:
                yield Finding(file.path, 1, f"'{part}' says nothing; name the module after what it holds")


def docstrings(source: Source) -> Iterator[Finding]:
    """Each module has a docstring, and so does each public class of graphc: an op's is its page in the reference."""
    for file in source.under("graphc", "tools", "examples"):
        if ast.get_docstring(file.tree) is None and file.text.strip():
            yield Finding(file.path, 1, "the module has no docstring")
        for node in file.tree.body if file.folder == "graphc" else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and ast.get_docstring(node) is None:
                yield Finding(file.path, node.lineno, f"class {node.name} has no docstring")


def open_ends(source: Source) -> Iterator[Finding]:
    """What is left undone says why: `TODO: … because …`, or `until …`."""
    for file in source.files:
        for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
            if token.type != tokenize.COMMENT:
                continue
            if re.search(r"\b(FIXME|XXX|HACK)\b", token.string):
                yield Finding(file.path, token.start[0], "fix it, or write 'TODO: … because …'")
            elif re.search(r"\bTODO\b", token.string) and not re.search(r"\b(because|until)\b", token.string):
                yield Finding(file.path, token.start[0], "a TODO says why it waits: 'TODO: … because …' or '… until …'")


def data_never_runs(source: Source) -> Iterator[Finding]:
    """Nothing unpickles, and nothing runs text as Python except the one module that writes that text."""
    for file in source.under("graphc", "tools", "examples"):
        for found in file.imports:
            if found.target.split(".")[0] in PICKLING:
                yield Finding(file.path, found.line, f"imports {found.target}: loading a file must not run code")
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute) and _dotted(node) in PICKLING_CALLS:
                yield Finding(file.path, node.lineno, f"uses {_dotted(node)}, which pickles; tensors are safetensors")
    runners: set[str] = set()
    for file in source.under("graphc"):
        for line, name in sorted(_code_runners(file)):
            in_room = f"{file.module}.".startswith(f"{GENERATED_PYTHON_ROOM}.") and name != "eval"
            if not in_room:
                yield Finding(file.path, line, f"calls {name}(); only one module of {GENERATED_PYTHON_ROOM} runs text")
            elif runners - {file.path}:
                yield Finding(file.path, line, f"calls {name}(), as {min(runners)} does; let one module do it")
            else:
                runners.add(file.path)


def _code_runners(file: File) -> Iterator[tuple[int, str]]:
    """Calls of the builtins eval, exec and compile; graphc's own `compile` is not one of them."""
    own = {found.target.rpartition(".")[2] for found in file.imports if _is_graphc(found.target)}
    own |= {node.name for node in file.tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func)
            name = called.removeprefix("builtins.")
            if name in {"eval", "exec", "compile"} and called not in own:
                yield node.lineno, name


def no_torch_autograd(source: Source) -> Iterator[Finding]:
    """Gradients are graph; torch's autograd is only the judge, in tests and tools."""
    for file in source.under("graphc"):
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute) and _dotted(node) == "torch.autograd":
                yield Finding(file.path, node.lineno, "uses torch.autograd; gradients are built by graphc.gradient")
        for found in file.imports:
            if f"{found.target}.".startswith("torch.autograd."):
                yield Finding(file.path, found.line, "imports torch.autograd; gradients are built by graphc.gradient")


RULES: list[Callable[[Source], Iterator[Finding]]] = [
    layers,
    cycles,
    import_places,
    slow_imports,
    file_sizes,
    file_names,
    docstrings,
    open_ends,
    data_never_runs,
    no_torch_autograd,
]


# This checkout keeps the rules ----------------------------------------------------------------------------------------


@functools.cache
def checkout() -> Source:
    return Source.read(Path(__file__).resolve().parent.parent)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_checkout(rule: Callable[[Source], Iterator[Finding]]) -> None:
    findings = sorted(rule(checkout()))
    if findings:
        pytest.fail("\n".join(map(str, findings)), pytrace=False)


def test_checkout_is_read() -> None:
    paths = {file.path for file in checkout().files}
    assert "tests/test_architecture.py" in paths
    assert any(path.startswith("graphc/") for path in paths)


# Bad trees break them -------------------------------------------------------------------------------------------------

GUARD = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "

# rule, files by path, and where the findings are, in order
BAD: list[tuple[Callable[[Source], Iterator[Finding]], dict[str, str], list[str]]] = [
    (layers, {"graphc/errors.py": "from graphc.ir.node import Node"}, ["graphc/errors.py:1"]),
    (layers, {"graphc/dims.py": "from graphc import types"}, ["graphc/dims.py:1"]),
    (layers, {"graphc/ir/node.py": "import graphc.ops.sum"}, ["graphc/ir/node.py:1"]),
    (layers, {"graphc/ir/node.py": "from ..ops import sum"}, ["graphc/ir/node.py:1"]),
    (layers, {"graphc/ir/node.py": GUARD + "from graphc.ops import sum"}, ["graphc/ir/node.py:3"]),
    (layers, {"graphc/ir/node.py": "def f():\n    import graphc.nn"}, ["graphc/ir/node.py:2"]),
    (layers, {"graphc/ir/__init__.py": "from ..nn import Linear"}, ["graphc/ir/__init__.py:1"]),
    (layers, {"graphc/nn/linear.py": "from graphc.optim import SGD"}, ["graphc/nn/linear.py:1"]),
    (layers, {"graphc/optim/sgd.py": "from graphc.nn import Linear"}, ["graphc/optim/sgd.py:1"]),
    (layers, {"graphc/viz/draw.py": "from graphc.passes import cse"}, ["graphc/viz/draw.py:1"]),
    (layers, {"graphc/viz/draw.py": "import graphc"}, ["graphc/viz/draw.py:1"]),
    (layers, {"graphc/viz/draw.py": "from graphc import tanh"}, ["graphc/viz/draw.py:1"]),
    (layers, {"graphc/cellar.py": ""}, ["graphc/cellar.py:1"]),
    (
        cycles,
        {"graphc/ir/a.py": "from graphc.ir.b import f", "graphc/ir/b.py": "def f(): pass\nfrom graphc.ir import a"},
        ["graphc/ir/a.py:1"],
    ),
    (
        cycles,
        {"graphc/ir/__init__.py": "from graphc.ir.a import f", "graphc/ir/a.py": "\nfrom graphc.ir import f"},
        ["graphc/ir/__init__.py:1"],
    ),
    (
        cycles,
        {
            "graphc/ir/a.py": "import graphc.ir.b",
            "graphc/ir/b.py": "import graphc.ir.c",
            "graphc/ir/c.py": "def f():\n    import graphc.ir.a",
        },
        ["graphc/ir/a.py:1"],
    ),
    (cycles, {"graphc/ir/a.py": "from graphc.ir.a import f"}, ["graphc/ir/a.py:1"]),
    (import_places, {"graphc/viz/a.py": "def f():\n    from graphc.ir import Node"}, ["graphc/viz/a.py:2"]),
    (import_places, {"graphc/viz/a.py": "class A:\n    import graphc.ir"}, ["graphc/viz/a.py:2"]),
    (import_places, {"graphc/viz/a.py": "try:\n    from . import b\nexcept ImportError: pass"}, ["graphc/viz/a.py:2"]),
    (import_places, {"graphc/viz/a.py": GUARD + "pass\nelse:\n    import graphc.ir"}, ["graphc/viz/a.py:5"]),
    (
        import_places,
        {"graphc/viz/a.py": "import importlib\nif 1:\n importlib.import_module('graphc.ir')"},
        ["graphc/viz/a.py:3"],
    ),
    (slow_imports, {"graphc/ir/a.py": "import networkx as nx"}, ["graphc/ir/a.py:1"]),
    (slow_imports, {"graphc/ir/a.py": "try:\n    from rich.table import Table\nfinally: pass"}, ["graphc/ir/a.py:2"]),
    (slow_imports, {"graphc/viz/a.py": "import click"}, ["graphc/viz/a.py:1"]),
    (slow_imports, {"graphc/cli/a.py": "class A:\n    import scipy.stats"}, ["graphc/cli/a.py:2"]),
    (file_sizes, {"tests/a.py": "pass\n" * (MAX_LINES + 1)}, [f"tests/a.py:{MAX_LINES + 1}"]),
    (file_names, {"graphc/ir/utils.py": "", "tools/common/a.py": ""}, ["graphc/ir/utils.py:1", "tools/common/a.py:1"]),
    (docstrings, {"graphc/ops/a.py": "x = 1", "tools/a.py": "x = 1"}, ["graphc/ops/a.py:1", "tools/a.py:1"]),
    (docstrings, {"graphc/ops/a.py": '"""Sums."""\nclass Sum: pass\nclass _Sum: pass'}, ["graphc/ops/a.py:2"]),
    (open_ends, {"graphc/ir/a.py": "x = 1  # TODO: faster"}, ["graphc/ir/a.py:1"]),
    (open_ends, {"tests/a.py": "\n# FIXME because"}, ["tests/a.py:2"]),
    (data_never_runs, {"graphc/ir/a.py": "import pickle"}, ["graphc/ir/a.py:1"]),
    (data_never_runs, {"tools/a.py": "def f():\n    from marshal import loads"}, ["tools/a.py:2"]),
    (data_never_runs, {"graphc/ir/a.py": "import torch\ntorch.load('x')"}, ["graphc/ir/a.py:2"]),
    (
        data_never_runs,
        {"graphc/ir/a.py": "eval('1')\nexec('1')\ncompile('1')"},
        [f"graphc/ir/a.py:{n}" for n in (1, 2, 3)],
    ),
    (
        data_never_runs,
        {"graphc/backends/torch_plan/a.py": "exec('1')\neval('1')"},
        ["graphc/backends/torch_plan/a.py:2"],
    ),
    (
        data_never_runs,
        {"graphc/backends/torch_plan/a.py": "exec('1')", "graphc/backends/torch_plan/b.py": "exec('1')"},
        ["graphc/backends/torch_plan/b.py:1"],
    ),
    (no_torch_autograd, {"graphc/ir/a.py": "import torch\ntorch.autograd.grad"}, ["graphc/ir/a.py:2"]),
    (no_torch_autograd, {"graphc/ir/a.py": "from torch import autograd"}, ["graphc/ir/a.py:1"]),
]

# What looks much like the above and is allowed: no rule finds anything in these.
GOOD = {
    "graphc/__init__.py": '"""All."""\nfrom graphc.compiler import compile\nfrom graphc.nn import Linear',
    "graphc/errors.py": '"""Errors."""\n',
    "graphc/dims.py": '"""Sizes."""\nfrom graphc import errors',
    "graphc/types.py": '"""Types."""\nfrom graphc.dims import Dim\nimport numpy',
    "graphc/ir/__init__.py": '"""The graph."""\nfrom graphc.ir.a import A',
    "graphc/ir/a.py": f'"""A."""\n{GUARD}from graphc.ir.b import B\n    import networkx\nclass A:\n    """A."""',
    "graphc/ir/b.py": '"""B."""\nfrom graphc.ir.a import A\ndef f():\n    import networkx',
    "graphc/ops/sum.py": '"""Sums."""\nclass Sum:\n    """Sum."""\n    def eval(self, x): return self.eval(x)',
    "graphc/nn/__init__.py": '"""Layers."""\nLinear = 1  # TODO: bilinear until someone asks',
    "graphc/compiler.py": '"""Compile."""\ndef compile(): return compile()',
    "graphc/backends/torch_plan/load.py": '"""Load."""\nexec(compile("1", "plan", "exec"))',
    "graphc/viz/command.py": '"""Command."""\nimport click',
    "graphc/cli/__init__.py": '"""Command."""\nimport click\nfrom graphc.compiler import compile\ncompile()',
    "tests/test_files.py": "import pickle\nimport rich\n",
    "examples/__init__.py": "",
}


def write(root: Path, files: dict[str, str]) -> Source:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Source.read(root)


@pytest.mark.parametrize(
    ("rule", "files", "places"), BAD, ids=[f"{rule.__name__}-{n}" for n, (rule, _, _) in enumerate(BAD)]
)
def test_bad_tree(
    rule: Callable[[Source], Iterator[Finding]], files: dict[str, str], places: list[str], tmp_path: Path
) -> None:
    findings = sorted(rule(write(tmp_path, files)))
    assert [f"{finding.path}:{finding.line}" for finding in findings] == places, "\n".join(map(str, findings))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_good_tree(rule: Callable[[Source], Iterator[Finding]], tmp_path: Path) -> None:
    assert list(rule(write(tmp_path, GOOD))) == []


def test_every_rule_can_fail() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_a_cycle_is_shown_step_by_step(tmp_path: Path) -> None:
    files = {"graphc/ir/a.py": "import graphc.ir.b", "graphc/ir/b.py": "\nimport graphc.ir.a"}
    [finding] = cycles(write(tmp_path, files))
    assert str(finding) == (
        "graphc/ir/a.py:1: cycle: graphc/ir/a.py:1 imports graphc.ir.b, graphc/ir/b.py:2 imports graphc.ir.a"
    )
