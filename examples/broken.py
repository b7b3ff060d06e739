"""A network that cannot be built: graphc-viz draws it as far as it goes, and marks what is wrong.

graphc-viz examples/broken.py:y -o broken.svg
"""

import graphc
from graphc import nn

x = graphc.placeholder("x", shape=("batch", 784))
net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(256, 10))
y = net(x)
