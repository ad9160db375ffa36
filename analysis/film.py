"""An episode as a film, rendered off screen, with the step and the reward so far written into it."""

import argparse
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


class Player:
    """A network that plays an episode; `steps` and `reward` are what has been until now.

    Raises InputError for an environment that there is not, that cannot be rendered, or that the network does not fit.
    """

    def __init__(
        self, genome: Genome, weights: npt.NDArray[np.float64], env_name: str, seed: int, max_steps: int
    ) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # off screen
        from gymnasium import spaces

        from envs.gym_task import Policy, make, sizes

        self.environment = make(env_name, render_mode="rgb_array")
        self.takes_argmax = isinstance(self.environment.action_space, spaces.Discrete)
        take.check_sizes(genome, *sizes(self.environment, env_name, self.takes_argmax), env_name)
        self.policy, self.weights = Policy(genome), weights
        self.seed, self.max_steps = seed, max_steps
        self.steps, self.reward = 0, 0.0
        # Real time where the environment tells it, but no more frames a second than needed.
        rate = float(self.environment.metadata.get("render_fps", FRAMES_PER_SECOND))
        self.every = max(1, round(rate / FRAMES_PER_SECOND))
        self.frames_per_second = rate / self.every

    def frames(self) -> Iterator[Frame]:
        """Every n-th frame of the episode, and the last."""
        from envs.gym_task import choose_action

        observation, _ = self.environment.reset(seed=self.seed)
        over = False
        yield self.frame()
        while not over and self.steps < self.max_steps:
            outputs = self.policy(observation, self.weights)
            action = choose_action(outputs, self.environment.action_space, self.takes_argmax)
            observation, reward, terminated, truncated, _ = self.environment.step(action)
            self.steps, self.reward = self.steps + 1, self.reward + float(reward)
            over = terminated or truncated
            if self.steps % self.every == 0 or over:
                yield self.frame()
        self.environment.close()

    def frame(self) -> Frame:
        picture = self.environment.render()
        if not isinstance(picture, np.ndarray):
            raise RunError("the environment does not render as rgb_array")
        return written(picture, f"step {self.steps}   reward {self.reward:.1f}")


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
