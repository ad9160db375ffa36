"""What is written of each generation: log, TensorBoard, champion, portraits, checkpoints.

An observer is anything that can be called with a state; `finish`, where it has that, is called with the last one. One
that returns True ends the run after that generation.
"""

import csv
import io
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evolution import checkpoint
from evolution.files import write_atomically
from evolution.genome import Genome
from evolution.loop import State
from evolution.system import ASKED_TO_STOP, TO_FLUSH, tells_to_stop
from evolution.task import Fitness
from experiment.events import EventLog
from experiment.folder import CHAMPION, NETWORKS, TRAINED, Codec, Progress, Run

Observer = Any  # a callable that is given a state


def watch(states: Iterable[Progress], observers: Iterable[Observer], last: Progress | None = None) -> Progress:
    """Show every state to every observer, until there is none left or an observer returns True; gives the last one.

    `last` is the state that the run goes on from. Raises KeyboardInterrupt where the script was asked to stop.
    """
    observers = list(observers)
    for last in states:
        stop = [observer(last) for observer in observers]
        if ASKED_TO_STOP.is_set():
            raise KeyboardInterrupt
        if True in stop:
            break
    assert last is not None
    return last


def finish(state: Progress, observers: Iterable[Observer]) -> None:
    """Tell every observer that wants to know that this was the last state."""
    for observer in observers:
        getattr(observer, "finish", lambda state: None)(state)


# ---- of an evolution ------------------------------------------------------------------------------------------------


@dataclass
class Log:
    """The lines of each generation."""

    log: logging.Logger
    num_generations: int

    def __call__(self, state: State) -> None:
        generation, sizes = state.generation, [g.num_connections for g in state.population]
        if state.untrained is not None:
            self.log.info("untrained: %s", values_text(state.untrained.values))
        if state.num_lost:
            self.log.warning(
                "generation %d: %d of %d networks have a reward that is not finite and are ranked last",
                generation,
                state.num_lost,
                len(state.population),
            )
        if state.challenge is not None and state.challenge.confirmed:
            stays = "no champion yet" if state.champion is None else "the champion stays"
            verdict = "new champion" if state.challenge.won else stays
            self.log.info("generation %d: confirmed %s: %s", generation, values_text(state.challenge.values), verdict)
        self._tested(state)
        self.log.info(
            "generation %d: %s; connections %.1f +- %.1f; %.2f s",
            generation,
            summary(state),
            np.mean(sizes),
            np.std(sizes),
            state.times["complete_generation"],
        )

    def _tested(self, state: State) -> None:
        if state.tested:
            self.log.info("generation %d: champion tested: %s", state.generation, values_text(state.tested))

    def finish(self, state: State) -> None:
        self._tested(state)
        how, champion = "finished", state.champion
        if state.progress < self.num_generations:
            how = f"stopped before all {self.num_generations} generations were done:"
        if champion is None:
            why = "no network's reward was finite and stayed so when confirmed"
            self.log.info("%s after generation %d without a champion: %s", how, state.generation, why)
        else:
            self.log.info(
                "%s after generation %d; champion of generation %d: %s",
                how,
                state.generation,
                champion.generation,
                values_text(champion.values),
            )


def values_text(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def summary(state: State) -> str:
    """Best reward and champion in a few words."""
    fitness = state.fitness
    best = fitness.reward[fitness.best]
    champion = "none" if state.champion is None else f"{state.champion.values[fitness.objectives[0]]:.4g}"
    return f"best {best:.4g}, champion {champion}"


@dataclass
class TensorBoard:
    """The scalars of each generation (docs/tags.md)."""

    writer: EventLog

    def __call__(self, state: State) -> None:
        fitness = state.fitness
        finite = state.num_lost < len(state.population)
        scalars = {f"best/{name}": value for name, value in fitness.of(fitness.best).items()} if finite else {}
        if state.champion is not None:
            genome = state.champion.genome
            sizes = dict(zip(_SIZES, _sizes(genome), strict=True))
            known = {**state.champion.values, **state.tested, **sizes, "generation": state.champion.generation}
            scalars |= _tagged("champion", known)
        population = np.array([_sizes(genome) for genome in state.population])
        for name, mean, std in zip(_SIZES, population.mean(0), population.std(0), strict=True):
            scalars |= {f"stats/{name}_mean": float(mean), f"stats/{name}_std": float(std)}
        self.writer.scalars(scalars | _tagged("times", state.times), state.generation)

    def finish(self, state: State) -> None:
        self.writer.scalars(_tagged("champion", state.tested), state.generation)
        self.writer.end_of_session()


_SIZES = ("connections", "neurons", "layers")


def _sizes(genome: Genome) -> tuple[int, int, int]:
    return genome.num_connections, genome.num_neurons, genome.num_layers


def _tagged(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """With the prefix, but for names that have one already (the measures of learning)."""
    return {name if "/" in name else f"{prefix}/{name}": value for name, value in values.items()}


@dataclass
class Population:
    """Histograms and the values of each network in TensorBoard; every so often all networks as JSON."""

    path: Path
    writer: EventLog
    save_every: int  # generations
    provenance: Mapping[str, Any]

    def __call__(self, state: State) -> None:
        generation, accuracies = state.generation, state.fitness.values["acc"]
        connections = np.array([genome.num_connections for genome in state.population])
        self.writer.histogram("population/acc", accuracies[np.isfinite(accuracies)], generation)
        self.writer.histogram("population/connections", connections, generation)
        each = {f"population/net{i}_acc": value for i, value in enumerate(accuracies)}
        each |= {f"population/net{i}_connections": value for i, value in enumerate(connections)}
        self.writer.scalars(each, generation)
        if generation % self.save_every == 0:
            self._save(state)

    def _save(self, state: State) -> None:
        folder = self.path / NETWORKS
        folder.mkdir(exist_ok=True)
        for i, genome in enumerate(state.fitness.trained or state.population):
            origin = _origin(self.provenance, state.generation, state.fitness.of(i))
            genome.save(folder / f"generation{state.generation}-net{i}.json", origin)

    def finish(self, state: State) -> None:
        write_atomically(self.path / "results_summary.csv", results_summary(state.fitness))


def results_summary(fitness: Fitness) -> str:
    """CSV with the mean and the best of each value over the networks of the last population whose reward is finite."""
    finite = np.isfinite(fitness.reward)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(f"{kind}_{name}", kind, values) for name, values in fitness.values.items() for kind in ("mean", "best")]
    writer.writerow([name for name, _, _ in columns])
    if finite.any():
        best = fitness.best
        writer.writerow([values[finite].mean() if kind == "mean" else values[best] for _, kind, values in columns])
    return text.getvalue()


def _origin(provenance: Mapping[str, Any], generation: int, values: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """What a network's file says of where it comes from."""
    return {**provenance, "generation": generation, "fitness": _finite(values), **more}


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


class ChampionFile:
    """The champion so far as JSON, as training left it, with its fitness and what its last test found.

    The file follows the state that a run goes on from: it may have been of a later generation.
    """

    def __init__(self, path: Path, provenance: Mapping[str, Any], state: State | None = None) -> None:
        self._file, self._provenance = path / CHAMPION, provenance
        self._written: Any = None
        if state is not None:
            self(state)

    def __call__(self, state: State) -> None:
        champion = state.champion
        if champion is None:
            self._file.unlink(missing_ok=True)
        elif champion is not self._written:
            more = {"tested": _finite(champion.tested)} if champion.tested else {}
            champion.trained.save(self._file, _origin(self._provenance, champion.generation, champion.values, **more))
        self._written = champion

    finish = __call__


@dataclass
class Portraits:
    """A tested champion's picture and its graph's statistics in TensorBoard; the same champion is drawn once.

    A picture never ends a run: where it cannot be made, the log says so once.
    """

    run: Run
    draw: Callable[[Genome], npt.NDArray[np.uint8]]  # an image (H, W, 3)
    statistics: Callable[[Genome], Mapping[str, float]]
    test_every: int
    fails: bool = False

    def __call__(self, state: State) -> None:
        champion, generation = state.champion, state.generation
        if not state.tested or champion is None:
            return
        found = {f"graph_{name}": value for name, value in self.statistics(champion.trained).items()}
        self.run.writer.scalars(_tagged("champion", found), generation)
        test_before = (generation - 1) // self.test_every * self.test_every
        if champion.generation > test_before and not self.fails:
            try:
                image = self.draw(champion.trained)
            except Exception as error:  # of many kinds, from libraries that draw
                self.fails = True
                self.run.log.warning("no portraits of champions: %s: %s", type(error).__name__, error)
            else:
                self.run.writer.image("champion/network", image, generation)

    finish = __call__


# ---- of a training ------------------------------------------------------------------------------------------------


class Epoch(Protocol):
    """A training's state as it is shown here."""

    progress: int
    trained: Genome
    measured: Mapping[str, float]


@dataclass
class Epochs:
    """Each epoch in the log and in TensorBoard, and at the end the trained network as JSON."""

    run: Run
    provenance: Mapping[str, Any]

    def __call__(self, state: Epoch) -> None:
        epoch, weights = state.progress, state.trained.weights
        assert weights is not None
        self.run.writer.scalars(state.measured, epoch)
        self.run.writer.histogram("weights", weights[np.isfinite(weights)], epoch)
        self.run.log.info(
            "epoch %d: train loss %.4f, acc %.4f; test loss %.4f, acc %.4f",
            epoch,
            *(state.measured[tag] for tag in ("train/loss", "train/acc", "test/loss", "test/acc")),
        )

    def finish(self, state: Epoch) -> None:
        file = self.run.path / TRAINED
        state.trained.save(file, {**self.provenance, "epochs": state.progress})
        self.run.log.info("finished after %d epochs: %s", state.progress, file)
        self.run.writer.end_of_session()


# ---- of any run -----------------------------------------------------------------------------------------------------


class Bar:
    """A progress bar where the output is a terminal."""

    def __init__(self, total: int, state: Any, unit: str, say: Callable[[Any], str] | None = None) -> None:
        # disable=None: silent where the output is not a terminal
        done = 0 if state is None else state.progress
        self._bar = tqdm(total=total, initial=done, unit=unit, disable=None, dynamic_ncols=True)
        self._say = say

    def __call__(self, state: Any) -> None:
        if self._say is not None:
            self._bar.set_postfix_str(self._say(state))
        self._bar.update()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()


class Deadline:
    """Ends the run after the state in which its time is over."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def __call__(self, state: Any) -> bool:
        return time.monotonic() > self._end


class Checkpoints(Generic[Progress]):
    """Keeps a run's newest state in its folder: at once, every `period` seconds, and when the run ends.

    The last of the observers, since a checkpoint says how long the others' files were. To be used with `with`: however
    that ends, the last state is written too, if it can be. Raises OSError, with the checkpoint before whole, where one
    cannot be written.
    """

    def __init__(self, run: Run, codec: Codec[Progress], period: float, state: Progress | None = None) -> None:
        self._run, self._codec, self._period = run, codec, period
        self._newest: tuple[Progress, dict[str, int]] | None = None
        self._last, self._saved_at = state, -math.inf

    def __call__(self, state: Progress) -> None:
        if state is not self._last:
            self._newest, self._last = (state, self._run.file_sizes()), state
        if time.monotonic() - self._saved_at >= self._period:
            self.save()

    def save(self) -> None:
        if self._newest is None:
            return
        state, sizes = self._newest
        for name in sizes:
            _flush_to_disk(self._run.path / name)
        path = self._run.path / checkpoint.NAME
        content = self._run.encode(state, sizes, self._codec)
        write_atomically(path, content, previous=self._run.path / checkpoint.PREVIOUS_NAME)
        self._newest, self._saved_at = None, time.monotonic()

    def __enter__(self) -> "Checkpoints[Progress]":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.save()
        except OSError:
            if error is None or tells_to_stop(error):
                raise
            # else the first error says what is wrong


def _flush_to_disk(path: Path) -> None:
    """What the checkpoint says is in a file must be there after a power failure too."""
    descriptor = os.open(path, TO_FLUSH)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
