"""An episode as a film, rendered off screen, with the step and the reward so far written into it."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from analysis import arguments as take
from evolution.errors import InputError, RunError
from evolution.genome import Genome

Frame = npt.NDArray[np.uint8]  # (height, width, 3)

FRAMES_PER_SECOND = 25
MAX_WIDTH = {".gif": 400, ".mp4": 800}  # pixels; a GIF grows fast


def add_arguments(parser: argparse.ArgumentParser) -> None:
    take.add_network(parser)
    parser.add_argument("--env_name", required=True, help="id of a Gymnasium environment, or CartPoleSwingUp")
    parser.add_argument("--weight", type=take.number, help="the shared weight of a weight agnostic network")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the film: a .gif or an .mp4")
    parser.add_argument("--seed", type=take.seed, default=0, help="of the episode (default: 0)")
    parser.add_argument("--max_steps", type=take.count, default=10_000, help="longest film (default: 10000 steps)")


def main(arguments: argparse.Namespace) -> None:
    """Play one episode and film it. Says how long it was and what it earned."""
    if arguments.to.suffix not in MAX_WIDTH:
        raise InputError(f"--to {arguments.to}: the film must be a .gif or an .mp4")
    genome = Genome.load(arguments.network)
    weights = take.connection_weights(genome, arguments.weight)
    player = Player(genome, weights, arguments.env_name, arguments.seed, arguments.max_steps)
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    write(arguments.to, player.frames(), player.frames_per_second)
    print(f"{arguments.to}: {player.steps} steps, reward {player.reward:.2f}")
    kernels = scored(genome, weights, arguments.env_name, arguments.seed, player.steps)
    if kernels is not None and abs(kernels - player.reward) > 0.005:
        print(
            f"the kernels score this episode {kernels:.2f}: what is filmed is Gymnasium's, whose last digits differ, "
            "which grows where an episode is chaotic"
        )


class Player:
    """A network that plays an episode; `steps` and `reward` are what has been until now.

    Raises InputError for an environment that there is not, that cannot be rendered, or that the network does not fit.
    """

    def __init__(
        self, genome: Genome, weights: npt.NDArray[np.float64], env_name: str, seed: int, max_steps: int
    ) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # off screen
        from envs.gym_task import make
        from envs.spaces import Actions, Observations
        from networks.policy import CompiledPolicy

        self.environment, self.env_name = make(env_name, render_mode="rgb_array"), env_name
        self.observations = Observations(self.environment.observation_space, env_name)
        self.actions = Actions(self.environment.action_space, env_name)
        take.check_sizes(genome, self.observations.size, self.actions.size, env_name)
        self.policy, self.weights = CompiledPolicy(genome), weights
        self.seed, self.max_steps = seed, max_steps
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
        over = False
        yield self.frame()
        while not over and self.steps < self.max_steps:
            action = self.actions.choose(self.policy(self.observations.flatten(observation), self.weights))
            if action is None:
                raise RunError(f"the network's outputs are no numbers at step {self.steps}")
            observation, reward, terminated, truncated, _ = self.environment.step(action)
            self.steps, self.reward = self.steps + 1, self.reward + float(np.asarray(reward).item())
            over = terminated or truncated
            if self.steps % self.every == 0 or over:
                yield self.frame()

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


def scored(genome: Genome, weights: npt.NDArray[np.float64], env_name: str, seed: int, max_steps: int) -> float | None:
    """What the kernels give for the same episode; None where the environment has none."""
    from envs import rollout

    if not rollout.supports(env_name):
        return None
    takes_argmax = rollout.takes_argmax(env_name)
    rewards, _ = rollout.episodes(
        [genome],
        env_name,
        [weights[None]],
        [seed],
        take_argmax_action=takes_argmax,
        max_episode_steps=max_steps,
    )
    return float(rewards.item())


def written(picture: Frame, text: str) -> Frame:
    """The picture with a line of text in its upper left corner."""
    image = Image.fromarray(picture)
    size = max(12, picture.shape[0] // 20)
    ImageDraw.Draw(image).text((size // 2, size // 3), text, (40, 40, 40), ImageFont.load_default(size))
    return np.asarray(image)


def write(path: Path, frames: Iterator[Frame], frames_per_second: float) -> None:
    """Write the film beside its place and then move it there: a film that is there is whole."""
    import imageio.v2 as imageio  # takes a while

    unfinished = path.with_name(f".{path.name}.unfinished{path.suffix}")
    if path.suffix == ".gif":
        options: dict[str, Any] = {"duration": 1000 / frames_per_second, "loop": 0, "subrectangles": True}
    else:
        options = {"fps": frames_per_second, "macro_block_size": 2}
    try:
        writer: Any = imageio.get_writer(unfinished, mode="I", **options)
        with writer as film:
            for frame in frames:
                film.append_data(_narrowed(frame, MAX_WIDTH[path.suffix]))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _narrowed(frame: Frame, width: int) -> Frame:
    if frame.shape[1] <= width:
        return frame
    height = round(frame.shape[0] * width / frame.shape[1])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
