"""Weight agnostic networks on MNIST, 4096 generations of 960 networks; one seed. Published: the thesis."""

from benchmarks.reproduction.common import Experiment, Figure, main

EXPERIMENT = Experiment(
    "mnist-wann",
    "run-wann-classification.py",
    "params/wann-classification/mnist.yaml",
    seeds=1,
    figures=[
        Figure("champion, mean test accuracy over weights, by generation 200", "0.65", "champion/test_mean_acc", 200),
        Figure("champion, mean test accuracy over weights, by generation 500", "0.80", "champion/test_mean_acc", 500),
        Figure("champion, mean test accuracy over weights, by generation 1000", "", "champion/test_mean_acc", 1000),
        Figure("champion, mean test accuracy over weights, at the end", "0.90", "champion/test_mean_acc"),
        Figure("champion, test accuracy at the best weight, at the end", "0.91", "champion/test_max_acc"),
    ],
)

if __name__ == "__main__":
    main(EXPERIMENT.name, [EXPERIMENT], __doc__)
