"""An episode as a film, rendered off screen, with the step and the reward so far written into it."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from analysis import arguments as take
from analysis.names import task_of
from evolution.errors import InputError, RunError
from evolution.files import TEMPORARY
from evolution.genome import Genome

Frame = npt.NDArray[np.uint8]  # (height, width, 3)

FRAMES_PER_SECOND = 25
MAX_WIDTH = {".gif": 400, ".mp4": 800}  # pixels; a GIF grows fast


def add_arguments(parser: argparse.ArgumentParser) -> None:
    take.add_network(parser)
    parser.add_argument("--env_name", help="id of an environment (default: as the network's file or run says)")
    take.add_task_options(parser, take.OF_EPISODES)
    parser.add_argument("--weight", type=take.number, help="the shared weight of a weight agnostic network")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the film: a .gif or an .mp4")
    parser.add_argument("--seed", type=take.seed, default=0, help="of the episode (default: 0)")
    parser.add_argument("--max_steps", type=take.count, default=10_000, help="longest film (default: 10000 steps)")


def main(arguments: argparse.Namespace) -> None:
    """Play one episode as it is scored and film it. Says how long it was and what it earned.

    An environment with a kernel is put into the kernel's state after each step, so that what is seen is what the kernel
    played: where an episode is chaotic, Gymnasium's own would be another.
    """
    to = arguments.to
    if to.suffix.lower() not in MAX_WIDTH:
        raise InputError(f"--to {to}: the film must be a .gif or an .mp4")
    take.check_file(to)
    genome = Genome.load(arguments.network)
    weights = take.connection_weights(genome, arguments.weight)
    env_name = arguments.env_name or task_of(arguments.network)
    if env_name is None:
        raise InputError(f"{arguments.network} does not say what it was evolved for: give --env_name")
    given = take.of_task(arguments, env_name, (*take.OF_EPISODES, "evaluator"))
    player = Player(genome, weights, env_name, arguments.seed, arguments.max_steps, **given)
    to.parent.mkdir(parents=True, exist_ok=True)
    write(to, player.frames(), player.frames_per_second)
    print(f"{to}: {player.steps} steps, reward {player.reward:.2f}")


class Player:
    """A network that plays an episode; `steps` and `reward` are what has been until now.

    Raises InputError for an environment that there is not, that cannot be rendered, or that the network does not fit.
    """

    def __init__(
        self,
        genome: Genome,
        weights: npt.NDArray[np.float64],
        env_name: str,
        seed: int,
        max_steps: int,
        *,
        env_kwargs: Mapping[str, Any] | None = None,
        observation_size: int | None = None,
        scale_actions: bool = False,
        max_episode_steps: int | None = None,
        evaluator: str = "auto",
    ) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # off screen
        from envs import gym_task, rollout
        from envs.spaces import Actions, Observations
        from networks.policy import CompiledPolicy

        self.environment = gym_task.make(env_name, max_episode_steps, "rgb_array", env_kwargs)
        self.env_name = env_name
        self.kernel: rollout.Steps | None = None
        self.observations = Observations(self.environment.observation_space, env_name, observation_size)
        self.actions = Actions(self.environment.action_space, env_name, scale_actions)
        take.check_sizes(genome, self.observations.size, self.actions.size, env_name)
        scored_by_kernel = gym_task.has_kernel(evaluator, env_name, env_kwargs, observation_size)
        if scored_by_kernel and rollout.Steps.are_there(env_name, env_kwargs):
            self.kernel = rollout.Steps(env_name, seed, env_kwargs)
        limit = self.environment.spec.max_episode_steps if self.environment.spec is not None else None
        self.max_steps = min(max_steps, max_episode_steps or limit or gym_task.MAX_EPISODE_STEPS)
        self.policy, self.weights, self.seed = CompiledPolicy(genome), weights, seed
        self.steps, self.reward = 0, 0.0
        # Real time where the environment tells it, but no more frames a second than needed.
        told = self.environment.metadata.get("render_fps")
        rate = float(told) if isinstance(told, int | float) and 0 < told < 10_000 else float(FRAMES_PER_SECOND)
        self.every = max(1, round(rate / FRAMES_PER_SECOND))
        self.frames_per_second = rate / self.every
        self.shape: tuple[int, ...] = ()

    def frames(self) -> Iterator[Frame]:
        """Every n-th frame of the episode, and the last. Raises RunError where the environment fails."""
        try:
            yield from self._frames()
        except (InputError, RunError, OSError):
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise RunError(f"environment {self.env_name} failed at step {self.steps}: {what}") from None
        finally:
            with contextlib.suppress(Exception):
                self.environment.close()

    def _frames(self) -> Iterator[Frame]:
        observation, _ = self.environment.reset(seed=self.seed)
        inputs = self.observations.flatten(observation) if self.kernel is None else self._in_the_kernels_state()
        over = False
        yield self.frame()
        while not over and self.steps < self.max_steps:
            action = self.actions.choose(self.policy(inputs, self.weights))
            if action is None:
                raise RunError(f"the network's outputs are no numbers at step {self.steps}")
            inputs, reward, over = self._step(action)
            self.steps, self.reward = self.steps + 1, self.reward + reward
            if self.steps % self.every == 0 or over or self.steps == self.max_steps:
                yield self.frame()

    def _step(self, action: Any) -> tuple[Any, float, bool]:
        """What the network sees next, the reward, and whether the episode is over."""
        if self.kernel is not None:
            self.environment.unwrapped.step(action)  # draws what it draws of the action, as an arrow
            reward, over = self.kernel.step(action)
            return self._in_the_kernels_state(), reward, over
        observation, given, terminated, truncated, _ = self.environment.step(action)
        over = bool(terminated or truncated)
        return self.observations.flatten(observation), float(np.asarray(given).item()), over

    def _in_the_kernels_state(self) -> Any:
        environment: Any = self.environment.unwrapped
        assert self.kernel is not None
        environment.state = self.kernel.state
        return self.kernel.observation

    def frame(self) -> Frame:
        picture = in_colours(self.environment.render())
        self.shape = self.shape or picture.shape
        if picture.shape != self.shape:  # a film has frames of one size
            height, width = self.shape[:2]
            picture = np.asarray(Image.fromarray(picture).resize((width, height)))
        return written(picture, f"step {self.steps}   reward {self.reward:.1f}")


def in_colours(picture: Any) -> Frame:
    """A rendered frame as (height, width, 3) bytes: grey, with an alpha channel, or floats from 0 to 1 as well.

    Raises RunError for anything else.
    """
    if not isinstance(picture, np.ndarray) or picture.ndim not in (2, 3) or not picture.size:
        raise RunError("the environment does not render as rgb_array")
    if picture.dtype.kind == "f":
        picture = np.nan_to_num(picture) * (255 if picture.max() <= 1 else 1)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if picture.ndim == 2 or picture.shape[2] == 1:
        picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    if picture.shape[2] not in (3, 4):
        raise RunError(f"the environment renders frames of shape {picture.shape}; (height, width, 3) is needed")
    return np.ascontiguousarray(picture[:, :, :3])


def written(picture: Frame, text: str) -> Frame:
    """The picture with a line of text in its upper left corner."""
    image = Image.fromarray(picture)
    size = max(12, picture.shape[0] // 20)
    ImageDraw.Draw(image).text((size // 2, size // 3), text, (40, 40, 40), ImageFont.load_default(size))
    return np.asarray(image)


def write(path: Path, frames: Iterator[Frame], frames_per_second: float) -> None:
    """Write the film beside its place and then move it there: a film that is there is whole."""
    import imageio.v2 as imageio  # takes a while

    unfinished = path.with_name(f"{TEMPORARY}{os.getpid()}{path.suffix.lower()}")
    if path.suffix.lower() == ".gif":
        options: dict[str, Any] = {"duration": 1000 / frames_per_second, "loop": 0, "subrectangles": True}
    else:
        options = {"fps": frames_per_second, "macro_block_size": 2}
    try:
        writer: Any = imageio.get_writer(unfinished, mode="I", **options)
        with writer as film:
            for frame in frames:
                film.append_data(_narrowed(frame, MAX_WIDTH[path.suffix.lower()]))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _narrowed(frame: Frame, width: int) -> Frame:
    if frame.shape[1] <= width:
        return frame
    height = round(frame.shape[0] * width / frame.shape[1])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
