"""Files, drawings, commands and settings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import graphc
from graphc import nn, viz
from graphc.bench.command import main as bench
from graphc.cli.command import main as command
from graphc.viz.command import main as draw
from tests.mistakes.mistake import raised, typed

points = graphc.placeholder("points", ("batch", 2))
net = nn.Linear(2, 1)
output = net(points)
program = graphc.compile([points], output, backend="reference")


@contextmanager
def file(name: str, data: bytes | None) -> Iterator[str]:
    """The path of a file with these bytes in a folder of its own; None for no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        if data is not None:
            path.write_bytes(data)
        yield str(path)


@contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    """A variable of the environment, for as long."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


# Graph files ----------------------------------------------------------------------------------------------------------


@raised("net.json", "no such file", "exist | path | no such file")
def graph_file_is_not_there() -> object:
    with file("net.json", None) as path:
        return graphc.Graph.load(path)


@raised("nets", "folder", "graph.save | file")
def graph_file_is_a_folder() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nets")
        path.mkdir()
        return graphc.Graph.load(path)


@raised("net.safetensors", "UTF-8 | JSON | not a saved graph", "load_state_dict | graph.save")
def graph_file_is_of_tensors() -> object:
    with file("net.safetensors", b"\x48\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}' + b"\xff" * 64) as path:
        return graphc.Graph.load(path)


@raised("net.pt", "UTF-8", "graph.save")
def graph_file_is_a_pickle() -> object:
    with file("net.pt", b"PK\x03\x04\x00\x00\x80\x02c__builtin__") as path:
        return graphc.Graph.load(path)


@raised("net.txt", "line 1 & JSON", "graph.save")
def graph_file_is_text() -> object:
    with file("net.txt", b"a network of two layers") as path:
        return graphc.Graph.load(path)


@raised("net.json", "JSON", "graph.save | cut off | truncated | again")
def graph_file_is_cut_off() -> object:
    data = program.graph.to_json().encode() if hasattr(program.graph, "to_json") else b""
    with file("net.json", data) as path:
        if not data:
            program.graph.save(path)
        Path(path).write_bytes(Path(path).read_bytes()[:-40])
        return graphc.Graph.load(path)


@raised("net.json", "format", "graph.save | saved graph")
def graph_file_is_of_something_else() -> object:
    with file("net.json", b'{"name": "net", "layers": []}') as path:
        return graphc.Graph.load(path)


@raised("net.json", "version & 99 & 1", "newer | this graphc reads")
def graph_file_is_of_the_future() -> object:
    with file("net.json", b'{"format": "graphc graph", "version": 99}') as path:
        return graphc.Graph.load(path)


@raised("net.json", "JSON & line 1", "graph.save | empty")
def graph_file_is_empty() -> object:
    with file("net.json", b"") as path:
        return graphc.Graph.load(path)


@raised("path", "None", "string")
def graph_file_is_none() -> object:
    return graphc.Graph.load(None)  # type: ignore[arg-type]


@raised("path", "3", "string")
def graph_file_is_a_number() -> object:
    return graphc.Graph.load(3)  # type: ignore[arg-type]


@raised("net.json", "no such file | folder", "folder | exist | no such file")
def graph_is_saved_into_a_folder_that_is_not_there() -> object:
    with tempfile.TemporaryDirectory() as folder:
        return program.graph.save(f"{folder}/missing/net.json")


@raised("net.json", "not a directory", "folder | directory")
def graph_is_saved_into_a_file() -> object:
    with file("net.json", b"{}") as path:
        return program.graph.save(f"{path}/")


@raised("Linear | Sequential", "save", "graph | state_dict", AttributeError)
def module_is_saved() -> object:
    return net.save("net.json")


@raised("Tensor | f32[batch,1]", "save", "program.graph | graphc.compile", AttributeError)
def symbol_is_saved() -> object:
    return output.save("net.json")  # type: ignore[attr-defined]


# Drawings -------------------------------------------------------------------------------------------------------------


@raised("output", "Linear", "y = output(x) | call")
def drawing_of_a_module() -> object:
    return viz.draw(net)  # type: ignore[arg-type]


@raised("output", "Tensor & torch & values", "a symbolic tensor, a graph or a program")
def drawing_of_values() -> object:
    return viz.draw(torch.ones(3))  # type: ignore[arg-type]


@raised("output", "int", "a tensor, a list, tuple or dict of tensors, a graph or a program")
def drawing_of_a_number() -> object:
    return viz.draw(3)  # type: ignore[arg-type]


@raised("output", "empty list", "a tensor, a list, tuple or dict of tensors, a graph or a program")
def drawing_of_nothing() -> object:
    return viz.draw([])


@raised("net.jpg", ".jpg", ".svg & .png & .html")
def drawing_in_a_format_that_is_not_there() -> object:
    return viz.draw(output, "net.jpg")


@raised("net", "ending", ".svg & .png & .html")
def drawing_without_a_format() -> object:
    return viz.draw(output, "net")


@raised("view", "'backwards'", "forward & backward & training & kernels & memory")
def drawing_of_a_view_that_is_not_there() -> object:
    return viz.draw(output, view="backwards")  # type: ignore[arg-type]


@raised("direction", "'right'", "TB & LR")
def drawing_in_a_direction_that_is_not_there() -> object:
    return viz.draw(output, direction="right")  # type: ignore[arg-type]


@raised("theme", "'blue'", "light & dark")
def drawing_in_a_theme_that_is_not_there() -> object:
    return viz.draw(output, theme="blue")  # type: ignore[arg-type]


@raised("overlay", "'speed'", "time & flops & bytes")
def drawing_with_an_overlay_that_is_not_there() -> object:
    return viz.draw(output, overlay="speed")  # type: ignore[arg-type]


@raised("depth", "-1", "0 or more")
def drawing_of_negative_depth() -> object:
    return viz.draw(output, depth=-1)


@raised("module & encoder", "encoder", "linear | there are | modules")
def drawing_of_a_module_that_is_not_there() -> object:
    return viz.draw(output, only="encoder")


@raised("sizes & n", "n", "batch")
def drawing_for_a_size_that_is_not_there() -> object:
    return viz.draw(output, overlay="flops", sizes={"n": 3})


@raised("timeout", "-1", "0 | above | positive")
def drawing_in_negative_time() -> object:
    return viz.draw(output, timeout=-1)


@raised("missing", "No such file or directory", "No such file or directory")
def drawing_into_a_folder_that_is_not_there() -> object:
    with tempfile.TemporaryDirectory() as folder:
        return viz.draw(output, f"{folder}/missing/net.svg")


@raised("kernels", "output", "graphc.compile")
def drawing_of_the_kernels_of_a_symbol() -> object:
    return viz.draw(output, view="kernels")


@raised("draw & format", "format", "path & view", TypeError)
def drawing_with_an_argument_that_is_not_there() -> object:
    return viz.draw(output, format="svg")  # type: ignore[call-arg]


# Settings -------------------------------------------------------------------------------------------------------------


@raised("CC", "no-such-compiler", "unset")
def compiler_is_not_there() -> object:
    with setting("CC", "no-such-compiler"):
        return graphc.compile([points], output, backend="c")  # here


@raised("CC", "'gcc | quotation | quote", "unset")
def compiler_has_an_open_quote() -> object:
    with setting("CC", "'gcc"):
        return graphc.compile([points], output, backend="c")  # here


@raised("CC", "python | --version | not a C compiler | true", "unset")
def compiler_is_another_program() -> object:
    with setting("CC", "false"):
        return graphc.compile([points], output, backend="c")  # here


@raised("GRAPHC_VECTOR_BYTES", "48", "16 & 32 & 64")
def vectors_are_of_an_odd_size() -> object:
    with setting("GRAPHC_VECTOR_BYTES", "48"):
        return graphc.compile([points], output, backend="c")  # here


@raised("GRAPHC_CFLAGS", "quotation | quote", "close | unset | quote")
def flags_have_an_open_quote() -> object:
    with setting("GRAPHC_CFLAGS", "'-O2"):
        return graphc.compile([points], output, backend="c")  # here


@raised("GRAPHC_CFLAGS | C compiler", "-fno-such-flag", "GRAPHC_CFLAGS")
def flags_are_not_there() -> object:
    with setting("GRAPHC_CFLAGS", "-fno-such-flag"):
        return graphc.compile([points], output, backend="c")  # here


@raised("GRAPHC_CACHE_DIR | cache", "not a folder", "move it | GRAPHC_CACHE_DIR")
def cache_is_a_file() -> object:
    with file("cache", b"") as path, setting("GRAPHC_CACHE_DIR", path):
        return graphc.compile([points], output.exp(), backend="c")  # here


@raised("GRAPHC_CACHE_DIR | cache", "777 | other users", "chmod go-w")
def cache_is_open_to_all() -> object:
    with tempfile.TemporaryDirectory() as folder, setting("GRAPHC_CACHE_DIR", folder):
        os.chmod(folder, 0o777)
        return graphc.compile([points], output.exp(), backend="c")  # here


SIZE = "GRAPHC_CACHE_SIZE"


@raised(SIZE, "number of bytes", "200MB & 2GB & unset")
def cache_is_larger_than_numbers() -> object:
    with tempfile.TemporaryDirectory() as path, setting("GRAPHC_CACHE_DIR", path), setting(SIZE, "9" * 400):
        return graphc.compile([points], (output * 400).exp(), backend="c")  # here


@raised(SIZE, "number of bytes", "200MB & 2GB & unset")
def cache_is_of_kelvins() -> object:
    with tempfile.TemporaryDirectory() as path, setting("GRAPHC_CACHE_DIR", path), setting(SIZE, "1\N{KELVIN SIGN}B"):
        return graphc.compile([points], (output * 273).exp(), backend="c")  # here


@raised("GRAPHC_DUMP", "folder | file | exists", "GRAPHC_DUMP | another")
def dump_goes_into_a_file() -> object:
    with file("dump", b"") as path, setting("GRAPHC_DUMP", path):
        return graphc.compile([points], output, backend="reference")  # here


# Commands -------------------------------------------------------------------------------------------------------------

MODEL = str(Path(viz.__file__).with_name("errors.py"))  # a file that is there, and quickly run

command_1 = typed(draw, [], "viz_of_nothing", "graphc-viz | TARGET", "Usage | missing", "--help | TARGET")
command_2 = typed(
    draw, ["no_such.py:net"], "viz_of_a_missing_file", "no_such.py", "there is no file", "there is no file"
)
command_3 = typed(draw, [MODEL], "viz_without_a_name", "errors.py", "NAME | name", "FILE.py:NAME | :")
command_4 = typed(draw, ["net.json"], "viz_of_a_missing_graph", "net.json", "there is no file", "there is no file")
command_5 = typed(draw, ["x.py:y", "--theme", "blue"], "viz_in_blue", "--theme", "'blue'", "'light' & 'dark'")
command_6 = typed(
    draw, ["x.py:y", "--directon", "LR"], "viz_option_misspelt", "--directon", "no such option", "--direction"
)
command_7 = typed(draw, ["x.py:y", "--depth", "-1"], "viz_of_negative_depth", "--depth", "-1", "x>=0 | 0 or more")
command_8 = typed(draw, ["x.py:y", "--depth", "two"], "viz_of_depth_in_words", "--depth", "'two'", "integer")
command_9 = typed(draw, ["x.py:y", "-o", "net.jpg"], "viz_into_a_jpeg", "net.jpg", ".jpg | net.jpg", ".svg & .png")
command_10 = typed(draw, ["x.py:y", "--size", "batch"], "viz_size_without_a_number", "--size", "batch", "batch=")
command_11 = typed(
    draw,
    ["x.py:y", "--input", "batch,x y"],
    "viz_input_with_a_blank",
    "--input",
    "batch,x y | 'x y'",
    "batch,2 | such as",
)
command_12 = typed(draw, ["diff", "a.py:x"], "viz_difference_of_one", "graphc-viz | diff", "two targets", "--pass")
command_13 = typed(draw, ["x.py:y", "--view", "all"], "viz_of_all_views", "--view", "'all'", "'forward' & 'training'")
command_14 = typed(draw, ["x.py:y", "--overlay", "speed"], "viz_with_an_overlay", "--overlay", "'speed'", "'time'")
command_15 = typed(draw, ["x.py:y", "--timeout", "0"], "viz_in_no_time", "--timeout", "0.0", "0<x")
command_16 = typed(command, ["docter"], "graphc_misspelt", "docter", "No such command", "doctor")
command_17 = typed(command, ["cache", "clean"], "cache_misspelt", "clean", "No such command", "clear | --help")
command_18 = typed(command, ["doctor", "--fix"], "doctor_that_mends", "--fix", "No such option", "--help")
command_19 = typed(command, ["cache", "clear", "all"], "cache_with_an_argument", "all", "unexpected", "--help")
command_20 = typed(bench, ["disc"], "bench_misspelt", "disc", "No such command", "disk | --help")
command_21 = typed(bench, ["disk", "table2"], "study_that_is_not_there", "table2", "No such command", "table1 | --help")
command_22 = typed(bench, ["disk", "table1", "--runs", "0"], "study_without_runs", "--runs", "0", "x>=1 | 1 or more")
command_23 = typed(bench, ["disk", "table1", "--runs", "many"], "study_of_many_runs", "--runs", "'many'", "integer")
command_24 = typed(bench, ["disk", "grid", "--lr", "0"], "grid_of_no_rate", "--lr", "0", "above 0")
command_25 = typed(
    bench, ["disk", "grid", "--lr", "fast"], "grid_of_a_rate_in_words", "--lr", "'fast'", "numbers such as"
)
command_26 = typed(
    bench,
    ["disk", "grid", "--activations", "tanh"],
    "grid_of_one_activation",
    "--activations",
    "'tanh' & three",
    "tanh & relu",
)
command_27 = typed(
    bench,
    ["disk", "best", "--candidate", "deep"],
    "candidate_that_is_not_there",
    "--candidate",
    "'deep'",
    "choose | one of",
)
command_28 = typed(
    bench, ["disk", "minitorch", "--compare", "jax"], "comparison_that_is_not_there", "--compare", "'jax'", "'torch'"
)
