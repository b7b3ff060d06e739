"""Names are text: a thousand that mean harm, in everything that has a name, through every output."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import graphc
from graphc import Graph, Program
from graphc.viz.draw import contents
from graphc.viz.labels import shown
from graphc.viz.request import Request
from tests.hostile import HARMLESS, NAMES, batches, named
from tests.ir.structure import structure
from tests.judge import graph_of
from tests.viz.page.browser import OWN

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
OPEN = Request(depth=9)
TRAINING = Request(depth=9, view="training")
BATCH = 50
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ESCAPED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]|\\u00[01]|\\[bfrt]|\\ud[89ab]..(?!\\ud[c-f])")
DRAWN = ["SVG", "G", "TITLE", "PATH", "POLYGON", "POLYLINE", "ELLIPSE", "TEXT"]


@cache
def programs(backend: str = "reference") -> list[tuple[list[str], Program]]:
    return [(names, compiled(names, backend)) for names in batches(BATCH)]


def compiled(names: Sequence[str], backend: str) -> Program:
    parts = named(names)
    return graphc.compile(parts.inputs, parts.outputs, parts.updates, backend=backend)


@cache
def plain(backend: str = "reference") -> Program:
    """The program of names that nobody could mind: what the others must be like."""
    return compiled(HARMLESS[:BATCH], backend)


def test_there_are_a_thousand() -> None:
    assert len(set(NAMES)) == len(set(HARMLESS)) == 1000


# DOT and pictures -----------------------------------------------------------------------------------------------------


def parsed(source: str) -> tuple[object, list[tuple[str, dict[str, str]]], list[tuple[str, dict[str, str]]]]:
    """What Graphviz reads: its clusters, nodes and edges, with their attributes except those that are text."""
    import pygraphviz

    graph = pygraphviz.AGraph(string=source)
    texts = {"label", "tooltip", "labeltooltip"}

    def looks(attributes: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in attributes.items() if key not in texts and value}

    clusters = [(each.name, sorted(each.nodes()), looks(each.graph_attr)) for each in graph.subgraphs()]
    nodes = [(str(node), looks(node.attr)) for node in graph.nodes()]
    return clusters, nodes, [(f"{edge[0]} {edge[1]}", looks(edge.attr)) for edge in graph.edges()]


@pytest.mark.parametrize("request_", [OPEN, TRAINING], ids=["forward", "training"])
def test_dot_has_what_harmless_names_have(request_: Request) -> None:
    pytest.importorskip("pygraphviz")
    expected = parsed(contents(plain(), ".dot", request_).decode())
    for _, program in programs():
        source = contents(program, ".dot", request_).decode()
        assert not UNSEEN.search(source)
        assert parsed(source) == expected


def test_svg_has_what_harmless_names_have() -> None:
    expected = drawn(contents(plain(), ".svg", OPEN))
    assert expected["text"] > 3 * BATCH
    for names, program in programs():
        data = contents(program, ".svg", OPEN)
        assert drawn(data) == expected, names
        texts = {"".join(each.itertext()).replace("\xa0", " ").strip() for each in ElementTree.fromstring(data).iter()}
        assert {shown(name).replace("\xa0", " ").strip() for name in names if not name.count(".")} <= texts, names


def drawn(data: bytes) -> dict[str, int]:
    """How often there is each element and each attribute."""
    assert b"<!ENTITY" not in data
    found: dict[str, int] = {}
    for element in ElementTree.fromstring(data).iter():
        name = element.tag.removeprefix(SVG)
        assert name in ("svg", "g", "a", "title", "text", "path", "polygon", "polyline", "ellipse")
        found[name] = found.get(name, 0) + 1
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            assert key not in ("href", f"{XLINK}href", "style")
            assert key == f"{XLINK}title" or "url(" not in value
            found[key] = found.get(key, 0) + 1
    return found


# Data and Mermaid -----------------------------------------------------------------------------------------------------


def test_json_is_plain_data() -> None:
    def paths(value: object, path: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield from paths(each, f"{path}/{key}")
        elif isinstance(value, list):
            for each in value:
                yield from paths(each, f"{path}/-")
        else:
            yield path

    [expected] = {frozenset(paths(json.loads(contents(plain(), ".json", OPEN))))}
    for names, program in programs():
        text = contents(program, ".json", OPEN).decode()
        assert text.isascii()
        assert not ESCAPED.search(text.replace(r"\\", ""))
        data = json.loads(text, parse_constant=pytest.fail)
        assert set(paths(data)) == expected
        labels = {node.get("label") for node in data["nodes"]} | {node.get("name") for node in data["nodes"]}
        assert labels
        titles = {box["lines"][0] for view in data["views"] for box in view["boxes"]}
        assert {shown(name) for name in names if "." not in name} <= titles


TEXT = r"(?:[^\W_]|[ .,:=+−×∂…~→]|#\d+;)+"
LABEL = rf'"{TEXT}(?:<br>{TEXT})*"'
BOX = rf"(?:\({LABEL}\)|\[\({LABEL}\)\]|\(\[{LABEL}\]\)|\[\[{LABEL}\]\])"
STYLE = r"fill:#[0-9A-F]{6},stroke:#[0-9A-F]{6},color:#[0-9A-F]{6}(?:,stroke-dasharray:5 4)?"
FORMS = (
    r"flowchart (?:TB|LR)",
    r" *end",
    rf' *subgraph f\d+\["{TEXT}"\]',
    rf" *n\d+{BOX}:::[a-z_]+",
    rf'  n\d+ (?:-->|-\.->)(?:\|"{TEXT}"\|)? n\d+',
    rf"  (?:classDef [a-z_]+|style f\d+) {STYLE}",
)


def forms(text: str) -> list[int]:
    """Of each line of Mermaid the form that it has."""
    lines = text.removesuffix("\n").split("\n")
    found = [[k for k, form in enumerate(FORMS) if re.fullmatch(form, line)] for line in lines]
    assert [line for line, kinds in zip(lines, found) if len(kinds) != 1] == []
    return [kinds[0] for kinds in found]


def test_mermaid_has_known_lines_only() -> None:
    expected = forms(contents(plain(), ".mmd", TRAINING).decode())
    for _, program in programs():
        assert forms(contents(program, ".mmd", TRAINING).decode()) == expected


# Pages ----------------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page with their attributes, in order, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(key for key, _ in attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data[:40]}")

    def unknown_decl(self, data: str) -> None:
        pytest.fail(f"a declaration: {data[:40]}")


def elements(page: bytes) -> Elements:
    parser = Elements()
    parser.feed(page.decode())
    parser.close()
    return parser


def test_pages_have_the_elements_of_harmless_names() -> None:
    expected = elements(contents(plain(), ".html", OPEN))
    assert {name.upper() for name, _ in expected.found} <= {*OWN, *DRAWN}
    for names, program in programs()[::4]:
        found = elements(contents(program, ".html", OPEN, names[0]))
        assert found.found == expected.found, names
        assert found.scripts[1:] == expected.scripts[1:], names
        assert set(json.loads(found.scripts[0])) == set(json.loads(expected.scripts[0]))


# Saved graphs and code ------------------------------------------------------------------------------------------------


def graphs() -> Iterator[tuple[list[str], Graph]]:
    for names in batches(BATCH):
        yield names, graph_of_names(names)


def graph_of_names(names: Sequence[str]) -> Graph:
    parts = named(names)
    graph = graph_of(parts.outputs.values(), parts.inputs, parts.updates)
    outputs = [type(o)(o.node, o.role, name, o.cell) for o, name in zip(graph.outputs, [*names, *names], strict=True)]
    return Graph(graph.inputs, tuple(outputs), names[0])


def test_saved_graphs_are_data_and_come_back() -> None:
    for names, graph in graphs():
        text = graph.to_json()
        assert text.isascii()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
        again = Graph.from_json(text)
        assert structure(again) == structure(graph), names
        assert [output.name for output in again.outputs] == [*names, *names]
        assert again.to_json() == text


def tree(code: str) -> str:
    """The syntax of a program, in which all texts are one and names of variables are numbered as they come."""
    numbers: dict[str, str] = {}
    found = ast.parse(code)
    for node in ast.walk(found):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "text"
        if isinstance(node, ast.Name):
            node.id = numbers.setdefault(node.id, f"name{len(numbers)}")
        if isinstance(node, ast.arg):
            node.arg = numbers.setdefault(node.arg, f"name{len(numbers)}")
    return ast.dump(found)


def test_builder_code_has_names_in_texts_only() -> None:
    expected = tree(graph_of_names(HARMLESS[:BATCH]).to_python())
    for names, graph in graphs():
        code = graph.to_python()
        assert code.isascii()
        assert tree(code) == expected, names
        compile(code, "builder.py", "exec")


def test_plans_of_torch_calls_differ_in_comments_only() -> None:
    def plan(program: Program) -> str:
        assert program.torch_plan is not None
        return tree(program.torch_plan.source)

    expected = plan(plain("torch"))
    for names, program in programs("torch"):
        assert plan(program) == expected, names
