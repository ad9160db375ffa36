"""Weight agnostic networks on digits, 1024 generations of 480 networks; one seed."""

from benchmarks.reproduction.common import Experiment, Figure, main

EXPERIMENT = Experiment(
    "digits",
    "run-wann-classification.py",
    "params/wann-classification/digits.yaml",
    seeds=1,
    figures=[
        Figure("champion, mean test accuracy over weights, by generation 200", "", "champion/test_mean_acc", 200),
        Figure("champion, mean test accuracy over weights, at the end", "", "champion/test_mean_acc"),
        Figure("champion, test accuracy at the best weight, at the end", "", "champion/test_max_acc"),
    ],
)

if __name__ == "__main__":
    main(EXPERIMENT.name, [EXPERIMENT], __doc__)
