"""Graphviz without its programs: reads DOT, writes a picture. `layout` runs this file by path, in a process of its own.

Usage: engine.py FORMAT DPI < DOT > PICTURE. It imports nothing of graphc, so that it starts quickly.
"""

from __future__ import annotations

import sys


def main(format: str, dpi: str) -> None:
    """Lay out the DOT of standard input; the picture goes to standard output."""
    import pygraphviz

    # Not AGraph(string=...): that looks for a charset anywhere in the text, names included.
    graph = pygraphviz.AGraph()
    graph.read(sys.stdin.buffer)
    graph.graph_attr["dpi"] = dpi
    sys.stdout.buffer.write(graph.draw(format=format, prog=graph.graph_attr.get("layout") or "dot"))


if __name__ == "__main__":
    main(*sys.argv[1:])
