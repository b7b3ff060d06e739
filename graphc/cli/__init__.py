"""The command `graphc`: what this machine has, and what the compile cache holds."""

from __future__ import annotations
