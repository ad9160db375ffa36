"""An episode as a film, rendered off screen, with the step and the reward so far written into it."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
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
from evolution.system import tells_to_stop

Frame = npt.NDArray[np.uint8]  # (height, width, 3)

FRAMES_PER_SECOND = 25
MAX_WIDTH = {".gif": 400, ".mp4": 800}  # pixels; a GIF grows fast
NARROWEST = 240  # pixels, in which a caption has room
INK, EDGE = (40, 40, 40), (255, 255, 255)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    take.add_network(parser)
    parser.add_argument("--env_name", help="id of an environment (default: as the network's file or run says)")
    take.add_task_options(parser, take.OF_EPISODES)
    parser.add_argument("--weight", type=take.number, help="the shared weight of a weight agnostic network")
    parser.add_argument("--to", type=take.file, required=True, metavar="FILE", help="the film: a .gif or an .mp4")
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
    width = MAX_WIDTH[to.suffix.lower()]
    player = Player(genome, weights, env_name, arguments.seed, arguments.max_steps, width=width, **given)
    to.parent.mkdir(parents=True, exist_ok=True)
    write(to, player.frames(), player.frames_per_second, most=player.max_steps // player.every + 2)
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
        width: int = 800,
    ) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # off screen
        from envs import compiled, gym_task, rollout
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
        self.max_steps = min(max_steps, max_episode_steps or limit or compiled.MAX_EPISODE_STEPS)
        self.policy, self.weights, self.seed = CompiledPolicy(genome), weights, seed
        self.steps, self.reward = 0, 0.0
        # Real time where the environment tells it, but no more frames a second than needed.
        told = self.environment.metadata.get("render_fps")
        rate = float(told) if isinstance(told, int | float) and 0 < told < 10_000 else float(FRAMES_PER_SECOND)
        self.every = max(1, round(rate / FRAMES_PER_SECOND))
        self.frames_per_second = rate / self.every
        self.width = width
        self.size: tuple[int, int] | None = None

    def frames(self) -> Iterator[Frame]:
        """Every n-th frame of the episode, and the last. Raises RunError where the environment fails."""
        try:
            yield from self._frames()
        except (InputError, RunError, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit, say, or one of a file that the environment reads
            if tells_to_stop(error):
                raise
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
        self.size = self.size or size_of(picture, self.width)
        if picture.shape[1::-1] != self.size:  # a film has frames of one size
            picture = np.asarray(Image.fromarray(picture).resize(self.size, Image.Resampling.LANCZOS))
        return written(picture, f"step {self.steps}   reward {self.reward:.1f}")


def size_of(picture: Frame, widest: int) -> tuple[int, int]:
    """Width and height of the film's frames: the picture's, made smaller or larger where a caption needs it; even."""
    height, width = picture.shape[:2]
    wanted = min(max(width, NARROWEST), widest)
    return 2 * round(wanted / 2), max(2, 2 * round(height * wanted / width / 2))


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
    """The picture with a line of text in its upper left corner: dark with a light edge, to be read on any ground."""
    image = Image.fromarray(picture)
    size = float(max(12, min(picture.shape[0] // 20, picture.shape[1] // 15)))
    room = picture.shape[1] - size
    size *= min(1.0, room / ImageFont.load_default(size).getlength(text))
    ImageDraw.Draw(image).text(
        (size // 2, size // 3), text, INK, ImageFont.load_default(size), stroke_width=max(2, round(size / 8)),
        stroke_fill=EDGE,
    )  # fmt: skip
    return np.asarray(image)


def write(path: Path, frames: Iterator[Frame], frames_per_second: float, most: int) -> None:
    """Write the film, of `most` frames at most, beside its place and move it there: one that is there is whole."""
    unfinished = path.with_name(f"{TEMPORARY}{os.getpid()}{path.suffix.lower()}")
    try:
        if path.suffix.lower() == ".gif":
            _write_gif(unfinished, frames, hundredths(most, frames_per_second))
        else:
            _write_mp4(unfinished, frames, frames_per_second)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_gif(path: Path, frames: Iterator[Frame], durations: Sequence[int]) -> None:
    images = (Image.fromarray(frame) for frame in frames)
    milliseconds = [10 * duration for duration in durations]
    next(images).save(path, format="GIF", save_all=True, append_images=images, duration=milliseconds, loop=0)


def hundredths(count: int, frames_per_second: float) -> list[int]:
    """How long each of `count` frames is shown, in the whole hundredths of a second that a GIF knows.

    The rounding is spread over the frames, so that the film takes as long as the episode.
    """
    return np.diff(np.rint(np.arange(count + 1) * (100 / frames_per_second))).astype(int).tolist()


def _write_mp4(path: Path, frames: Iterator[Frame], frames_per_second: float) -> None:
    import imageio.v2 as imageio  # takes a while

    writer: Any = imageio.get_writer(path, mode="I", fps=frames_per_second, macro_block_size=2)
    try:
        with writer as film:
            for frame in frames:
                film.append_data(frame)
    except OSError as error:  # that ffmpeg has ended is all that is known, in many lines
        raise RunError(f"{path.parent}: the film cannot be written ({str(error).splitlines()[0]:.200})") from None
