"""A run like those of the scripts, on a made task that starts at once: many connections are good, neurons are not.

Each network takes MADE_SECONDS (0 where the variable is not set). With MADE_STUBBORN the first evaluation does not end,
not even when it is interrupted.
"""

import os
import time
from collections.abc import Mapping, Sequence

import numpy as np

import experiment
import utils
from evolution.genome import Genome
from evolution.task import Fitness, Task
from evolution.workers import Workers


def rewards(population: Sequence[Genome], noise: Sequence[float]) -> list[float]:
    time.sleep(float(os.environ.get("MADE_SECONDS", "0")) * len(population))
    return [g.num_connections - 2.0 * g.num_hidden + noise[g.num_connections % len(noise)] for g in population]


class MadeTask(Task):
    num_inputs, num_outputs = 4, 2

    def __init__(self, workers: Workers) -> None:
        self.workers = workers

    def evaluate(self, population: Sequence[Genome], rng: np.random.Generator) -> Fitness:
        if os.environ.get("MADE_STUBBORN"):
            self.workers.map(rewards, population, rng.normal(size=100))
            announcement = "stubborn"
            while True:
                try:
                    print(announcement, flush=True)  # in here: the interrupt may come as soon as this is read
                    time.sleep(60)
                except KeyboardInterrupt:
                    announcement = "not yet"
        reward = np.array(self.workers.map(rewards, population, rng.normal(size=100)))
        return Fitness({"mean_reward": reward, "max_reward": reward + 1}, ("mean_reward", "max_reward"))

    def test(self, genome: Genome, rng: np.random.Generator) -> Mapping[str, float]:
        return {"test_mean_reward": float(rng.normal())}


def main(params: utils.Params) -> None:
    utils.evolve(params, MadeTask(utils.workers(params)), portraits=False)


if __name__ == "__main__":
    utils.run_script(experiment.GYM, main, __doc__ or "")
