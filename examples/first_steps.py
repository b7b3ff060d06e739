"""First steps: declare a network, compile it, train it, use it. Run me: python examples/first_steps.py"""

import torch

import graphc
from graphc import nn, optim

# Data: points of the unit square, labelled 1 inside a circle that covers half of it.
torch.manual_seed(0)
x = torch.rand(2000, 2)
y = ((x - 0.5).square().sum(dim=1, keepdim=True) < 1 / (2 * torch.pi)).float()

# Declare: these are symbols, and nothing runs. "batch" may be any size, another one at each call.
points = graphc.placeholder("points", shape=("batch", 2))
labels = graphc.placeholder("labels", shape=("batch", 1))
net = nn.Sequential(nn.Linear(2, 25), nn.Tanh(), nn.Linear(25, 25), nn.ReLU(), nn.Linear(25, 1), nn.Sigmoid())
inside = net(points)
loss = nn.BCELoss()(inside, labels)

# Compile: one program that trains and one that predicts. They share the parameters of the network.
train = graphc.compile([points, labels], loss, updates=optim.Adam(net.parameters(), lr=0.01).minimize(loss))
predict = graphc.compile([points], inside)

# Run: the first 1,000 points to learn from, the others to see what was learned.
history = train.fit(x[:1000], y[:1000], batch_size=25, epochs=50)
wrong = (predict(x[1000:]) > 0.5) != (y[1000:] > 0.5)
print(f"loss {history['loss'][0]:.3f} in the first epoch, {history['loss'][-1]:.3f} in the last")
print(f"test error {wrong.float().mean():.1%}")
