"""The small problem that the tests of optimizers share, in graphc and in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import graphc
from graphc import nn


def problem(dtype: torch.dtype = torch.float64) -> tuple[nn.Sequential, list[graphc.Tensor], graphc.Tensor]:
    """A network from a fixed seed, its placeholders and its loss."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).to(dtype)
    x, y = graphc.placeholder("x", ("batch", 2), dtype), graphc.placeholder("y", ("batch", 1), dtype)
    return net, [x, y], nn.MSELoss()(net(x), y)


def twin(dtype: torch.dtype = torch.float64) -> tuple[torch.nn.Sequential, Callable[[], torch.Tensor]]:
    """The same in torch, and its loss on `data`."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)).to(dtype)
    x, y = data(dtype)
    return net, lambda: torch.nn.functional.mse_loss(net(x), y)


def data(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 2, generator=generator, dtype=dtype), torch.randn(6, 1, generator=generator, dtype=dtype)


def step(optimizer: torch.optim.Optimizer, loss: Callable[[], torch.Tensor]) -> None:
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()


def names(updates: Any) -> set[str]:
    return {variable.name for variable in updates}


PARAMETERS = {"0.weight", "0.bias", "2.weight", "2.bias"}


def with_slots(*slots: str) -> set[str]:
    return PARAMETERS | {f"{parameter}.{slot}" for parameter in PARAMETERS for slot in slots}
