"""The names that a Python file assigns, found without running it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

__all__ = ["assigned_names"]

MOST_BYTES = 4_000_000
"""Files longer than this are nobody's network: reading them would only make a shell wait."""
CLOSED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
"""What has names of its own."""


def assigned_names(file: Path) -> dict[str, int]:
    """The public names that running `file` assigns at its top level, in order, each with the line of its last value.

    There are none where the file cannot be read, as while somebody is writing it.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # '\\d' and the like: that is said when the file runs
            tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    return {name: line for name, line in _assigned(tree) if not name.startswith("_")}


def _assigned(tree: ast.Module) -> Iterator[tuple[str, int]]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        if not isinstance(node, CLOSED) and not _is_script(node):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _is_script(node: ast.AST) -> bool:
    """Whether this is `if __name__ == …:`, which does not run when a file is drawn."""
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    return isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"
