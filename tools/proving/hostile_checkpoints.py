"""Hostile checkpoints: files that were cut, flipped or made to harm are refused, and nothing is executed.

A case is a file made from a good one: bytes flipped or cut, the header written anew with wrong types, offsets, shapes,
names and numbers, or something else altogether, such as a pickle that would run a command. It is loaded, and gone on
with as a run, under an audit hook. What comes is a CheckpointError and a State as it was, or whole values.
"""

from __future__ import annotations

import json
import random
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

import graphc
from graphc import CheckpointError, Program, nn, optim
from graphc.errors import one_line
from tests.audit import Audit
from tests.hostile import NAMES
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

DATA = (torch.linspace(-1, 1, 12).reshape(6, 2), torch.linspace(0, 1, 6).reshape(6, 1))


@cache
def _program() -> Program:
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Tanh(), nn.Linear(3, 1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], {"loss": loss}, optim.Adam(net.parameters()).minimize(loss), backend="reference")


@cache
def _good() -> bytes:
    with tempfile.TemporaryDirectory(prefix="graphc-prove-") as folder:
        path = Path(folder, "run.safetensors")
        _program().fit(*DATA, batch_size=4, epochs=2, checkpoint=path, state=_program().new_state(), progress=False)
        return path.read_bytes()


HARMFUL = b"cbuiltins\nexec\n(S'raise SystemExit(1)'\ntR."
"""A pickle that executes something when it is loaded."""


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _whole(header: object, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2**63, 2**64, 10**400, 1.5, "", "x" * 10_000, [], {}, [[]], [0, 0], [8, 4], [2**62, 2**62]),
    *("F32", "I64", "BOOL", "F8_E4M3", "U16", {"__class__": "os"}, {"__reduce__": []}, "\ud800", "../../etc/passwd"),
]


def _hostile(seed: int) -> bytes:
    choose = random.Random(seed)
    good = _good()
    match choose.randrange(8):
        case 0:
            data = bytearray(good)
            for _ in range(choose.choice([1, 1, 3, 30])):
                data[choose.randrange(choose.choice([16, 600, len(data)]))] ^= 1 << choose.randrange(8)
            return bytes(data)
        case 1:
            return good[: choose.choice([0, 1, 7, 8, 9, choose.randrange(len(good))])]
        case 2:
            return good + choose.randbytes(choose.choice([1, 8, 1000]))
        case 3:
            kinds = [HARMFUL, b"\x80\x02" + HARMFUL, b"PK\x03\x04" + HARMFUL, _whole(HARMFUL, b""), good[:8] + HARMFUL]
            return choose.choice(kinds)
        case 4:
            text = choose.choice([b"[" * 200_000, b'{"a":' * 100_000, b"{" + b'"a":1,' * 9, choose.randbytes(100), b""])
            return choose.choice([text, _whole(text, b""), struct.pack("<Q", choose.getrandbits(64)) + text])
        case 5:
            header, body = _parts(good)
            _damage(header, choose)
            return _whole(header, body)
        case 6:
            header, body = _parts(good)
            about = json.loads(header["__metadata__"]["graphc"])
            _damage(about, choose)
            header["__metadata__"]["graphc"] = json.dumps(about)
            return _whole(header, body)
        case _:
            header, body = _parts(good)
            text = choose.choice(["[" * 100_000, "{}", "null", '{"format": NaN}', "1" * 5000, "graphc", '{"a": 1e999}'])
            header["__metadata__"]["graphc"] = text
            return _whole(header, body)


def _damage(value: Any, choose: random.Random) -> None:
    """Change something within, at any depth."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = choose.choice(keys)
        if isinstance(value[key], (dict, list)) and choose.random() < 0.8:
            value = value[key]
            continue
        match choose.randrange(4):
            case 0:
                del value[key]
            case 1 if isinstance(value, dict):
                value[choose.choice([*NAMES[:50], "__metadata__", *keys])] = value.pop(key)
            case 2:
                number = value[key]
                value[key] = number + choose.choice([1, -1, 4]) if isinstance(number, int) else choose.choice(NAMES)
            case _:
                value[key] = choose.choice(VALUES)
        return


def _case(seed: int) -> dict[str, int]:
    program = _program()
    data = _hostile(seed)
    with tempfile.TemporaryDirectory(prefix="graphc-prove-") as folder:
        path = Path(folder, "run.safetensors")
        path.write_bytes(_good())
        program.load(path, state=program.new_state())  # what is imported is imported
        one_line("\0")
        path.write_bytes(data)
        counts = dict.fromkeys(("loaded", "resumed", "refused"), 0)
        for what in ("loaded", "resumed"):
            state = program.new_state()
            before = _bits(state)
            writes = [folder] if what == "resumed" else []
            with Audit(reads=[path], writes=writes, allowed=["fcntl.flock"]) as audit:
                refusal = _refusal(program, state, path, is_resumed=what == "resumed")
            audit.check()
            counts["refused" if refusal else what] += 1
            if refusal:
                assert refusal.startswith(str(path)), f"the message does not name the file: {refusal}"
                assert len(refusal) < 2000, "the message is long"
                assert _bits(state) == before, "the file was refused, and the State is another"
    return counts


def _refusal(program: Program, state: graphc.State, path: Path, is_resumed: bool) -> str:
    """The message, empty if the file was taken."""
    try:
        if is_resumed:
            options: dict[str, Any] = {"checkpoint": path, "resume": True, "progress": False, "state": state}
            program.fit(*DATA, batch_size=4, epochs=2, **options)
        else:
            program.load(path, state=state)
    except CheckpointError as error:
        return str(error)
    return ""


def _bits(state: graphc.State) -> list[bytes]:
    return [state.read(cell).numpy().tobytes() for cell in state.cells]


PROOFS = (Proof("hostile-checkpoints", 9, "files", 4000, 60, _case),)
