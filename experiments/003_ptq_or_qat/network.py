"""The small digits classifier of study 003 as a torch module, its channels 1 to `spread` apart, and its digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantlab.zoo.solved import FIRST, SECOND, small_digits, solved_network

Array = npt.NDArray[np.generic]


def calibration() -> tuple[Array, Array]:
    """Return images, float32 [384, 1, 8, 8], and labels."""
    return small_digits("calibration")


def evaluation() -> tuple[Array, Array]:
    """Return images, float32 [640, 1, 8, 8], and labels."""
    return small_digits("evaluation")


def training() -> Array:
    """Return images, float32 [773, 1, 8, 8], without labels: the float network is the teacher."""
    return small_digits("train")[0]


def apart_1() -> tuple[nn.Module, torch.Tensor]:
    """Return the network as it was made, and an example input."""
    return _network(1.0)


def apart_10() -> tuple[nn.Module, torch.Tensor]:
    """Return the network with channels 1 : 10 apart between its convolutions."""
    return _network(10.0)


def apart_100() -> tuple[nn.Module, torch.Tensor]:
    """Return the network with channels 1 : 100 apart."""
    return _network(100.0)


def apart_1000() -> tuple[nn.Module, torch.Tensor]:
    """Return the network with channels 1 : 1000 apart."""
    return _network(1000.0)


def _network(spread: float) -> tuple[nn.Module, torch.Tensor]:
    solved = solved_network(spread)
    convolutions = nn.Conv2d(1, FIRST, 3, padding=1), nn.Conv2d(FIRST, SECOND, 3, stride=2, padding=1)
    head = nn.Linear(SECOND * 16, 10)
    for number, layer in enumerate((*convolutions, head), start=1):
        layer.weight.data = torch.from_numpy(solved.constant(f"w{number}").copy())
        layer.bias.data = torch.from_numpy(solved.constant(f"b{number}").copy())
    first, second = convolutions
    network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), head)
    return network.eval(), torch.zeros(1, 1, 8, 8)
