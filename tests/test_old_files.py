"""What older versions wrote is read; what newer ones will write is refused, and says why."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import graphc
from graphc import Graph, GraphFileError
from tools.keep_files import KINDS, Kind, keep, versions

KEPT = [(folder, kind) for folder in versions() for kind in KINDS if (folder / kind.folder).is_dir()]


def test_this_version_is_kept() -> None:
    """Fails when the version number is raised: run tools/keep_files.py."""
    assert graphc.__version__ in [folder.name for folder in versions()]
    assert {kind.folder for folder, kind in KEPT if folder.name == graphc.__version__} == {
        each.folder for each in KINDS
    }


@pytest.mark.parametrize(("folder", "kind"), KEPT, ids=[f"{folder.name}-{kind.folder}" for folder, kind in KEPT])
def test_files_are_read(folder: Path, kind: Kind) -> None:
    assert kind.check(folder / kind.folder) > 0


def test_what_is_kept_now_is_read(tmp_path: Path) -> None:
    keep(tmp_path)
    for kind in KINDS:
        assert kind.check(tmp_path / kind.folder) > 0


def test_values_are_compared(tmp_path: Path) -> None:
    """The check can fail: a number of the values is another one."""
    shutil.copytree(versions()[0] / "graphs", tmp_path / "graphs")
    path = tmp_path / "graphs" / "sizes.values"
    data = json.loads(path.read_text())
    data["outputs"][0]["numbers"][0] = "1000.0"
    path.write_text(json.dumps(data))
    with pytest.raises(AssertionError, match=r"sizes\.json: output 'output0': "):
        KINDS[0].check(tmp_path / "graphs")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    [first, *_] = (folder for folder, kind in KEPT if kind.folder == "graphs")
    text = (first / "graphs" / "sizes.json").read_text()
    newer = tmp_path / "newer.json"
    newer.write_text(re.sub('"version": [0-9]+', '"version": 99', text, count=1))
    with pytest.raises(
        GraphFileError,
        match=r"newer\.json: has version 99, which a newer graphc wrote; this one reads version 1\. Update",
    ):
        Graph.load(newer)
    newer.write_text(text.replace('"op": "cat"', '"op": "conv5d"'))
    with pytest.raises(GraphFileError, match=r"\.op: 'conv5d' is not an op of this version of graphc$"):
        Graph.load(newer)
