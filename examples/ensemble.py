"""An ensemble: many networks trained at once, and how far they agree. Run me: python examples/ensemble.py

With a file name, python examples/ensemble.py ensemble.png, it draws what it found.
"""

import sys

import torch

import graphc
from graphc import nn, optim

# Data: a noisy wave, of which nothing is known between -1 and 1.
torch.manual_seed(0)
x = torch.cat([torch.rand(150, 1) * 2 - 3, torch.rand(150, 1) * 2 + 1])
y = (2 * x).sin() + 0.1 * torch.randn_like(x)

place, height = graphc.placeholder("place", shape=("batch", 1)), graphc.placeholder("height", shape=("batch", 1))
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
curve = net(place)
loss = nn.MSELoss()(curve, height)
optimizer = optim.Adam(net.parameters(), lr=optim.Cosine(0.01, steps=300 * 10))
train = graphc.compile([place, height], loss, optimizer.minimize(loss))
predict = graphc.compile([place], curve)

# One run for each seed: initial values and the order of samples are its own. They share the cores of the machine.
runs = [graphc.Run(train, x, y, batch_size=30, epochs=300, seed=seed) for seed in range(20)]
members = graphc.Sweep(runs).fit()

# Each member has the State that it was trained to. Where they disagree, none should be believed.
places = torch.linspace(-3, 3, 241)[:, None]
curves = torch.stack([predict(places, state=member.state) for member in members])
mean, spread = curves.mean(dim=0), curves.std(dim=0)
gap = places.abs() < 1
print(f"{len(members)} networks, final losses {min(m.history['loss'][-1] for m in members):.4f} to", end=" ")
print(f"{max(m.history['loss'][-1] for m in members):.4f}")
print(f"where there are data, they differ by {spread[~gap].mean():.3f}; between, by {spread[gap].mean():.3f}")

if len(sys.argv) > 1:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    at, middle, half = places.flatten(), mean.flatten(), 2 * spread.flatten()
    axes.fill_between(at, middle - half, middle + half, alpha=0.25, linewidth=0, label="two standard deviations")
    axes.plot(at, middle, label="mean of the ensemble")
    axes.plot(at, (2 * at).sin(), "k--", linewidth=1, label="truth")
    axes.plot(x.flatten(), y.flatten(), ".", color="gray", markersize=3, label="data")
    axes.legend(frameon=False, ncols=2)
    figure.savefig(sys.argv[1], dpi=150)
    print(sys.argv[1])
