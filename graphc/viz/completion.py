"""Completing a target on the command line: files, and the names in them, which are found without running anything."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from graphc.viz.find import SAVED
from graphc.viz.names import assigned_names

__all__ = ["COMPLETE_VAR", "PROGRAM", "SHELLS", "script", "targets"]

PROGRAM = "graphc-viz"
COMPLETE_VAR = "_GRAPHC_VIZ_COMPLETE"
"""What click reads to see that a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")
SPECIAL, ESCAPED = re.compile(r"[^\w@%+=:,./-]"), r"\\\g<0>"
"""What may mean something to a shell, and how it means itself."""


def targets(incomplete: str) -> list[str]:
    """What may stand where `incomplete` stands: folders, Python files, saved graphs and, after `file.py:`, names."""
    path, colon, name = incomplete.rpartition(":")
    if colon and path.endswith(".py"):
        return [f"{path}:{each}" for each in assigned_names(Path(path)) if each.startswith(name)]
    folder, start = os.path.split(incomplete)
    try:
        entries = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return []
    found = []
    for entry in entries:
        # A line break would be another completion, and what is hidden is asked for by its dot.
        is_wanted = entry.name.startswith(start) and entry.name.isprintable()
        if not is_wanted or (entry.name.startswith(".") and not start):
            continue
        whole = os.path.join(folder, entry.name)
        if entry.is_dir():
            found.append(f"{whole}/")
        elif entry.name.endswith(".py"):
            found.append(f"{whole}:")
        elif entry.name.endswith(SAVED):
            found.append(whole)
    return found


def script(shell: str, command: Any) -> str:
    """What makes `shell` complete the words after `graphc-viz`."""
    kind = get_completion_class(shell)
    assert kind is not None, "one of SHELLS"
    return kind(command, {}, PROGRAM, COMPLETE_VAR).source()


@add_completion_class
class _Bash(BashComplete):
    """click's completion for bash, which takes `file.py:name` for three words, as bash does, and has no colons.

    Nothing is added after a folder or `file.py:`, and what is special to the shell is escaped.
    """

    source_template = (
        BashComplete.source_template.replace("COMPREPLY+=($value)", 'COMPREPLY+=("$value")')
        .replace("IFS=',' read type value", "IFS=',' read -r type value")
        .replace("complete -o nosort", "complete -o nosort -o nospace")
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        joined: list[str] = []
        for word in [*words, incomplete]:
            if joined and (word == ":" or joined[-1].endswith(":")):
                joined[-1] += word
            else:
                joined.append(word)
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        if item.type != "plain":
            return super().format_completion(item)
        # The shell replaces only what stands after the last colon.
        value = str(item.value)
        _, colon, name = value.rpartition(":")
        text = name if colon and name else value
        end = "" if text.endswith(("/", ":")) else " "
        return f"{item.type},{SPECIAL.sub(ESCAPED, text)}{end}"
