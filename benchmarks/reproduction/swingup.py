"""CartPoleSwingUp, 1024 generations of 192 networks; five seeds. Published: the thesis, and Gaier & Ha 2019."""

from benchmarks.reproduction.common import Experiment, Figure, main

EXPERIMENT = Experiment(
    "swingup",
    "run-wann-gym.py",
    "params/wann-gym/CartPoleSwingUp.yaml",
    seeds=5,
    figures=[
        Figure("best of generation, mean over weights, by generation 100", "450 (thesis)", "best/mean_reward", 100),
        Figure("best of generation, mean over weights, at the end", "540 (thesis)", "best/mean_reward"),
        Figure("best of generation, best weight, at the end", "640 (thesis)", "best/max_reward"),
        Figure("champion, mean over weights, 100 trials", "", "champion/test_mean_reward"),
        Figure("champion, best weight, 100 trials", "", "champion/test_max_reward"),
    ],
)

if __name__ == "__main__":
    main(EXPERIMENT.name, [EXPERIMENT], __doc__)
