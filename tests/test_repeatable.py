"""The same bits, source and files in every process, whatever PYTHONHASHSEED is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

import graphc
from graphc import nn, optim

PROGRAM = """
import hashlib, os, sys
import torch, graphc
from graphc import nn, optim

def digest(*tensors):
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()

torch.manual_seed(0)
x, y = graphc.placeholder("x", ("batch", 3)), graphc.placeholder("y", ("batch", 1))
layers = [nn.Linear(3, 17), nn.Tanh(), nn.Linear(17, 9), nn.ReLU(), nn.Linear(9, 1)]
net = nn.Sequential(*layers, nn.Dropout(0.2), nn.Sigmoid())
prob = net(x)
loss = nn.BCELoss()(prob, y)
sgd = optim.SGD(net[0].parameters(), lr=0.05, momentum=0.9, weight_decay=0.01).minimize(loss)
adam = optim.Adam([*net[2].parameters(), *net[4].parameters()], lr=0.01, amsgrad=True).minimize(loss)
data = torch.randn(50, 3), (torch.rand(50, 1) > 0.5).float()
for backend in ("c", "torch", "reference"):
    program = graphc.compile([x, y], {"loss": loss, "prob": prob}, sgd | adam, backend=backend)
    for stage in program.stages:
        if stage.name == "library":  # its text is where the library is
            continue
        print(backend, stage.name, hashlib.sha256(str(stage).encode()).hexdigest())
    print(hashlib.sha256(program.source.encode()).hexdigest())
    state = program.new_state(seed=1)
    history = program.fit(*data, batch_size=8, epochs=5, seed=3, state=state, validation=data)
    print(digest(*map(state.read, state.cells)), list(state), history.metrics)
    print(digest(*program(*data, state=state).values()))
print([path.name for path in sorted(__import__("pathlib").Path(os.environ["GRAPHC_DUMP"]).iterdir())])
"""


def test_processes_agree(tmp_path: Path) -> None:
    """Graphs, schedule, plan, source, training and predictions."""
    folders = [tmp_path / seed for seed in ("0", "4242")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": folder.name, "GRAPHC_DUMP": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    first, second = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert len(first.splitlines()) > 15
    assert second == first


def test_runs_in_one_process_agree() -> None:
    """Also after other programs were compiled and the allocator has other memory to give."""
    x = graphc.placeholder("x", ("n", 3))
    net = nn.Sequential(nn.Linear(3, 33), nn.Tanh(), nn.Linear(33, 2))
    loss = net(x).square().mean()
    data = torch.randn(40, 3)
    found = []
    for k in range(3):
        train = graphc.compile([x], loss, optim.Adam(net.parameters()).minimize(loss), backend="torch")
        state = train.new_state(seed=5)
        train.fit(data, batch_size=7, epochs=4, state=state)
        found.append({name: state[name].clone() for name in state})
        torch.empty(1000 * (k + 1)).fill_(float("nan"))
    for other in found[1:]:
        for name, value in other.items():
            assert torch.equal(value, found[0][name])
