"""Environments that misbehave, each in its own way. Worker processes find them as `broken_environments:Name-v0`."""

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Fair(gymnasium.Env):
    """Two observations, two actions, ten steps of reward 1, action 1 rewarded doubly."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space: spaces.Space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.uniform(-1, 1, 2), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.observe(), 1.0 + float(action), self.steps == 10, False, {}

    def observe(self) -> Any:
        return np.zeros(2)


class Raising(Fair):
    def observe(self) -> Any:
        raise RuntimeError("the floor is lava")


class NotANumber(Fair):
    def step(self, action: Any) -> Any:
        return self.observe(), float("nan"), False, False, {}


class Blind(Fair):
    def observe(self) -> Any:
        return np.array([np.nan, 0.0])


class Endless(Fair):
    def step(self, action: Any) -> Any:
        return self.observe(), 1.0, False, False, {}


class Killing(Fair):
    def observe(self) -> Any:
        os._exit(9)


class Picture(Fair):
    observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)


class Switches(Fair):
    action_space = spaces.MultiDiscrete([2, 2])


class Dictionary(Fair):
    observation_space = spaces.Dict({"x": spaces.Box(-1, 1, (2,))})  # type: ignore[assignment]


for kind in (Fair, Raising, NotANumber, Blind, Endless, Killing, Picture, Switches, Dictionary):
    gymnasium.register(f"{kind.__name__}-v0", kind)
