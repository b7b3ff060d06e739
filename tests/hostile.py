"""A thousand names that mean harm, the same in every run, and a graph in which everything has such a name."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

import graphc
from graphc import Tensor
from graphc.ir import Role
from graphc.ir.origin import Origin, Scope, inherited, next_ident

# ruff: noqa: RUF001 - letters that look like others are what is tested

__all__ = ["HARMLESS", "NAMES", "Named", "batches", "named"]

KNOWN = [
    *('"', "'", "`", "\\", "\\\\", '\\"', '"\\', "\\'", "'''", '"""', "*/", "*\\", "*\\/", "/*", "//", "#", "--", "%%"),
    *("\\N", "\\G", "\\L", "\\T", "\\E", "\\H", "\\l", "\\r", "\\n", "\\x00", "\\u0000", "\\\n", "??/", "??'", "<:"),
    *("{", "}", "[", "]", "(", ")", "<", ">", "|", "{|}", "<f0>|<f1>", ";", ":", ":n", ",", "=", "->", "--", "- -->"),
    *("<b>bold</b>", "<<b>x</b>>", "<>", "<<TABLE><TR><TD>1</TD></TR></TABLE>>", '<IMG SRC="/etc/passwd"/>', "<BR/>"),
    *('"]; evil [label="', '"; system("rm -rf ~")', "} digraph { a -> b", "charset=", 'URL="javascript:hacked=1"'),
    *("image=/etc/passwd", "shapefile", 'fontpath="/"', "subgraph cluster_0 {", "strict digraph", "cluster_1", "n0"),
    *("&", "&amp;", "&lt;script&gt;", "&#65;", "&#x41;", "&nbsp;", "&quot;", "&#0;", "&", "&;", "&#xD800;", "&bogus;"),
    *("<![CDATA[", "]]>", "<!--", "-->", "--!>", "<!-- --", "<?xml?>", "<?php ?>", '<!DOCTYPE x [<!ENTITY e "x">]>'),
    *("</svg>", "</title>", "</style>", "</script>", "</script ", "<script>window.hacked=1</script>", "</textarea>"),
    *("<script", "<svg onload=window.hacked=1>", "<img src=x onerror=window.hacked=1>", "<iframe srcdoc=x>", "<base>"),
    *('" onload="window.hacked=1', "' onclick='hacked=1", '"><script>alert(1)</script>', "<svg/onload=alert(1)//"),
    *("javascript:window.hacked=1", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd"),
    *("http://127.0.0.1:9/", "https://example.org/x.js", "//example.org/x.js", "<a href=javascript:alert(1)>x</a>"),
    *("<use href='#x'/>", "<foreignObject>", "<animate attributeName=href>", "url(#x)", "url(http://127.0.0.1:9)"),
    *("@import 'x'", "expression(alert(1))", "</style><style>*{display:none}", "} * { color: red", "\\3c script"),
    *("@data@", "@script@", "@style@", "@policy@", "@engine@", "@title@", "@drawing@", "@@", "\\1", "\\g<0>"),
    *("${window.hacked=1}", "`${alert(1)}`", "#{x}", "{{x}}", "{0}", "{name}", "{0.__class__}", "{% x %}", "<%= x %>"),
    *(
        "%s",
        "%n%n%n",
        "%(name)s",
        "%d" * 9,
        "$HOME",
        "$(id)",
        "`id`",
        "; rm -rf ~",
        "| cat",
        "&& true",
        "> /tmp/x",
        "~",
    ),
    *("click n0 callback", 'click n0 href "javascript:alert(1)"', "%%{init: {'securityLevel': 'loose'}}%%", ":::evil"),
    *(
        "end",
        "subgraph",
        "flowchart TB",
        "style n0 fill:#f00",
        "classDef x",
        "```",
        "~~~",
        "# title",
        "**bold**",
        "_x_",
    ),
    *("[x](javascript:alert(1))", "![x](http://127.0.0.1:9)", "<br>", "$$x$$", "- item", "1. item", "> quote", "| a |"),
    *('{"__proto__": {"hacked": 1}}', "__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"),
    *("'+alert(1)+'", '"+alert(1)+"', "');alert(1);('", '"); import os; os.abort(); ("', "\\u2028", "</script><!--"),
    *(
        "\n",
        "\r",
        "\t",
        "\v",
        "\f",
        "\r\n",
        "two\nlines",
        "\n\n",
        "a\rb",
        "tab\tbed",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\0", "nul\0bell\a", "\x1b[2J", "\x1b[31mred\x1b[0m", "\x1b]0;title\a", "\x9b31m", "\b\b\b", "\x7f", "\x01\x02"),
    *("\ud800", "\udfff", "\ud83d", "\ude42\ud83d", "a\udc80b", "\ufffe", "\uffff", "\ufeff", "\ufdd0", "\U0010ffff"),
    *(
        "\u202egnp.exe",
        "\u2066x\u2069",
        "\u200f",
        "\u200b",
        "\u200d",
        "\u2060",
        "a\u200bb",
        "\u00ad",
        "\u180e",
        "\u061c",
    ),
    *(
        "e\u0301",
        "Z\u0351\u036b\u0343\u036a\u0302" * 9,
        "\u0301",
        "שלום",
        "مرحبا",
        "尺寸",
        "Größe",
        "∂",
        "🙂",
        "👩‍👩‍👧",
        "🏳️‍🌈",
    ),
    *("ﷺ", "ﬁ", "ℌ", "ı", "İ", "ẞ", "\u212a", "𝒳", "＜script＞", "﹤b﹥", "＂", "\uff07", "／etc", "⁄", "‟"),
    *(" ", "  ", "\u00a0", "\u3000", " x ", "x ", " \t ", "0", "1", "-1", "1e999", "NaN", "Infinity", "-0", "0x10"),
    *("1_000", "True", "None", "null", "undefined", "true", "[]", "{}", "x" * 5000, "<" * 500, '"' * 500, "&" * 500),
    *(
        "\\" * 501,
        "\n" * 100,
        "🙂" * 300,
        "a.b.c",
        ".",
        "..",
        "...",
        "a..b",
        ".a",
        "a.",
        "a/b",
        "../../etc/passwd",
        "/",
    ),
    *("C:\\x", "\\\\host\\share", "CON", "aux.svg", "x.py:1", "-o", "--help", "*", "?", "[a-z]*", "~root", "name\\"),
    *(
        "node",
        "edge",
        "graph",
        "digraph",
        "strict",
        "label",
        "id",
        "class",
        "def",
        "lambda",
        "import",
        "await",
        "match",
    ),
    *("int", "void", "while", "return", "asm", "main", "#include <x>", "#define x", '_Pragma("x")', "restrict", "NULL"),
    *("print", "__builtins__", "__class__", "graphc", "torch", "self", "t3", "v0", "n", "batch", "0.weight", "cell0"),
]
FRAGMENTS = [*filter(lambda name: len(name) < 40, KNOWN), "x", "net", "hacked=1", " ", "\n", "A", "window.hacked=1"]
MANY = 1000


def _names() -> list[str]:
    found = dict.fromkeys(KNOWN)
    chance = random.Random(20261122)
    while len(found) < MANY:
        found["".join(chance.choices(FRAGMENTS, k=chance.randint(2, 5)))] = None
    return list(found)


NAMES = _names()
HARMLESS = [f"w{i}" for i in range(MANY)]


@dataclass(frozen=True)
class Named:
    """`count` times the same little computation. Nothing but names tells two of one count apart."""

    names: Sequence[str]
    inputs: list[Tensor]
    outputs: dict[str, Tensor]
    updates: dict[graphc.Variable, Tensor]


_idents = itertools.count(2 * 10**9)


def named(names: Sequence[str]) -> Named:
    """Inputs, parameters, hyper-parameters, modules, their classes, files and outputs, all called by `names`."""
    inputs, outputs, updates = [], {}, {}
    for i, name in enumerate(names):
        x = graphc.placeholder(name, ("batch",))
        weight = graphc.Parameter(torch.zeros(1), name=name)
        rate = graphc.Variable(torch.tensor(0.5), name=name, role=Role.HYPER)
        with inherited(Origin(next_ident(), name, i + 1, (Scope(name, name, next(_idents)),))):
            outputs[name] = (x + weight).tanh() * rate
        inputs.append(x)
        updates[weight] = weight + 1.0
    return Named(names, inputs, outputs, updates)


def batches(size: int) -> list[list[str]]:
    """All names, in parts."""
    return [NAMES[i : i + size] for i in range(0, MANY, size)]
