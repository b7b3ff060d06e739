"""Weight sharing: both coordinates of a point go through the same layers, side by side.

Train it:        python examples/weight_sharing.py
Draw the net:    graphc-viz examples/weight_sharing.py:net -o net.svg
And the loss:    graphc-viz examples/weight_sharing.py:loss -o loss.svg
"""

import torch

import graphc
from graphc import nn, optim

points = graphc.placeholder("points", shape=("batch", 2))
labels = graphc.placeholder("labels", shape=("batch", 1))

torch.manual_seed(0)
coordinate = nn.Sequential(nn.Linear(1, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh())
head = nn.Sequential(nn.Linear(20, 25), nn.ReLU(), nn.Linear(25, 1), nn.Sigmoid())

# The module is called twice, and its parameters get the sum of the gradients of both calls. Only one copy is trained.
net = head(graphc.cat([coordinate(points[:, :1]), coordinate(points[:, 1:])], dim=1))
loss = nn.MSELoss()(net, labels)
error = ((net > 0.5) != (labels > 0.5)).to(torch.float32).mean()


def main() -> None:
    """Train on points of a disk that covers half of the unit square."""
    x = torch.rand(2000, 2)
    y = ((x - 0.5).square().sum(dim=1, keepdim=True) < 1 / (2 * torch.pi)).float()
    parameters = [*coordinate.parameters(), *head.parameters()]
    updates = optim.Adam(parameters, lr=0.01).minimize(loss)
    train = graphc.compile([points, labels], {"loss": loss, "error": error}, updates)
    history = train.fit(x[:1000], y[:1000], batch_size=25, epochs=30, validation=(x[1000:], y[1000:]))
    print(f"{sum(parameter.value.numel() for parameter in parameters)} parameters in {len(parameters)} tensors")
    print(f"test error {history['validation_error'][-1]:.1%} after {history.epochs} epochs")


if __name__ == "__main__":
    main()
