"""BipedalWalker-v2, 2048 generations of 480 networks; one seed. Published: the thesis, and Gaier & Ha 2019."""

from benchmarks.reproduction.common import Experiment, Figure, main

EXPERIMENT = Experiment(
    "bipedal",
    "run-wann-gym.py",
    "params/wann-gym/BipedalWalker-v2.yaml",
    seeds=1,
    figures=[
        Figure("best of generation, best weight, by generation 210", "245 (thesis)", "best/max_reward", 210),
        Figure(
            "best of generation, mean over weights, at the end", "65 (thesis), 51 +- 108 (paper)", "best/mean_reward"
        ),
        Figure("best of generation, best weight, at the end", "245 (thesis), 261 +- 58 (paper)", "best/max_reward"),
    ],
)

if __name__ == "__main__":
    main(EXPERIMENT.name, [EXPERIMENT], __doc__)
