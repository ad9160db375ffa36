"""CartPole-v0: solved is a mean reward of 195; five seeds."""

from benchmarks.reproduction.common import Experiment, Figure, main

EXPERIMENT = Experiment(
    "cartpole",
    "run-wann-gym.py",
    "params/wann-gym/CartPole-v0.yaml",
    seeds=5,
    figures=[
        Figure("champion, mean over weights (confirmed)", "solved: 195", "champion/mean_reward"),
        Figure("champion, best weight (confirmed)", "", "champion/max_reward"),
        Figure("champion, mean over weights, 100 trials", "", "champion/test_mean_reward"),
    ],
)

if __name__ == "__main__":
    main(EXPERIMENT.name, [EXPERIMENT], __doc__)
