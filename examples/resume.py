"""A run that is killed, and goes on as if nothing had been. Run me: python examples/resume.py

A process of its own trains, and is killed in the middle. The run goes on here from the checkpoint that it left, and is
then done once more without a cut. Dropout and shuffling are part of it, and both ends have the same bits.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import graphc
from graphc import nn, optim

torch.manual_seed(0)
x = torch.rand(1000, 2) * 2 - 1
y = (x.square().sum(1, keepdim=True) < 0.6).float()

points, labels = graphc.placeholder("points", shape=("batch", 2)), graphc.placeholder("labels", shape=("batch", 1))
net = nn.Sequential(nn.Linear(2, 25), nn.Tanh(), nn.Dropout(0.1), nn.Linear(25, 25), nn.ReLU(), nn.Linear(25, 1))
loss = nn.BCEWithLogitsLoss()(net(points), labels)
train = graphc.compile([points, labels], {"loss": loss}, optim.Adam(net.parameters(), lr=0.003).minimize(loss))
EPOCHS = 5_000


def run(checkpoint: Path) -> graphc.History:
    """Train, or go on with what `checkpoint` has. It is written every tenth of a second: once a minute, if not said."""
    return train.fit(
        x, y, batch_size=25, epochs=EPOCHS, checkpoint=checkpoint, checkpoint_every=0.1, resume=True, progress=False
    )


def main() -> None:
    start = train.new_state()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.safetensors")
        child = subprocess.Popen([sys.executable, __file__, str(path)])
        while not path.exists():
            time.sleep(0.01)
        child.kill()
        child.wait()

        half = train.new_state()
        train.load(path, state=half)
        print(f"the process was killed; its checkpoint is at step {int(half['step']):,}")

        history = run(path)
        print(f"gone on with to step {int(train.state['step']):,}; loss {history['loss'][-1]:.4f}")

    again = train.fit(x, y, batch_size=25, epochs=EPOCHS, state=start, progress=False)
    same = all(torch.equal(start[p], train.state[p]) for p in net.parameters()) and again.metrics == history.metrics
    print(f"equal to a run that was never cut, to the last bit: {same}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
    else:
        main()
