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


class Telling(Fair):
    observation_space = spaces.Text(5)  # type: ignore[assignment]


class Exiting(Fair):
    def step(self, action: Any) -> Any:
        raise SystemExit(3)


class Mute(Fair):
    def step(self, action: Any) -> Any:
        raise RuntimeError


class Scalar(Fair):
    def observe(self) -> Any:
        return 0.0


class Narrow(Fair):
    def observe(self) -> Any:
        return np.zeros(1)


class Twofold(Fair):
    def step(self, action: Any) -> Any:
        return self.observe(), np.array([1.0, 2.0]), False, False, {}


class Wrapped(Fair):
    def step(self, action: Any) -> Any:
        observation, _, over, truncated, more = super().step(action)
        return observation, np.array([[1.0]]), over, truncated, more

    def close(self) -> None:
        raise OSError("the door is stuck")


class Moody(Fair):
    """Fails with one seed of ten."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.fails = seed is not None and seed % 10 == 0
        return super().reset(seed=seed)

    def observe(self) -> Any:
        if self.fails:
            raise RuntimeError("not today")
        return super().observe()


class Mortal(Fair):
    """The first to play is killed, as from outside; the file that the variable MORTAL names says that this was."""

    def observe(self) -> Any:
        try:
            os.close(os.open(os.environ["MORTAL"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return super().observe()
        os._exit(9)


class Remembering(Fair):
    """Its reset leaves something behind."""

    def __init__(self) -> None:
        self.played = 0

    def step(self, action: Any) -> Any:
        self.played += 1
        return np.array([self.played / 100, 0.0]), 1.0 + float(action) * self.played, self.played % 10 == 0, False, {}


class Leaving(Fair):
    def __init__(self) -> None:
        raise SystemExit("no")


class Crashing(Fair):
    def __init__(self) -> None:
        os._exit(9)


class Spaceless(gymnasium.Env):
    pass


for kind in (
    Fair, Raising, NotANumber, Blind, Endless, Killing, Picture, Switches, Dictionary, Telling, Exiting, Mute, Scalar,
    Narrow, Twofold, Wrapped, Remembering, Leaving, Crashing, Spaceless, Moody, Mortal,
):  # fmt: skip
    gymnasium.register(f"{kind.__name__}-v0", kind)
