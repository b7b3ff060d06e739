"""Text as Graphviz reads it: whatever a user named is quoted, and escaped where Graphviz would read it."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text", "tooltip"]


def text(*lines: str, backslash: str = "\\\\") -> str:
    """Lines as one label, on which Graphviz's escapes (`\\N`), entities (`&lt;`) and HTML-like labels have no hold."""
    import graphviz

    # Graphviz decodes entities in all labels, and its escapes start with a backslash.
    safe = (line.replace("&", "&amp;").replace("\\", backslash) for line in lines)
    result: str = graphviz.nohtml("\\n".join(safe))
    return result


def tooltip(lines: Sequence[str]) -> str:
    """Lines as a tooltip, in which Graphviz looks for escapes twice."""
    return text(*lines, backslash="\\\\\\\\")
