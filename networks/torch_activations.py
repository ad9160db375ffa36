"""The ten activation functions for torch tensors, apart from the others because importing torch takes a second."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from evolution.genome import ACTIVATION_NAMES

TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "step": lambda x: torch.relu(torch.sign(x)),  # like this it has a gradient: 0
    "sine": lambda x: torch.sin(math.pi * x),
    "cosine": lambda x: torch.cos(math.pi * x),
    "gaussian": lambda x: torch.exp(-x * x / 2),
    "tanh": torch.tanh,
    "sigmoid": lambda x: (torch.tanh(x / 2) + 1) / 2,
    "inverse": torch.neg,
    "abs": torch.abs,
    "relu": torch.relu,
}
assert tuple(TORCH) == ACTIVATION_NAMES
