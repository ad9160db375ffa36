"""Architectures that learn, 1000 generations of 180 networks for each of four rules; one seed; thesis figures."""

from benchmarks.reproduction.common import Experiment, Figure, main

PUBLISHED = {  # test accuracy after long training, and connections, at the end of 1000 generations
    "backprop": ("0.92", "1200"),
    "feedback_alignment": ("0.95", "far above 1500"),
    "hebbian": ("0.75", "400"),
    "last_layer": ("0.68", "330"),
}
EARLY = {"backprop": (200, "0.75"), "feedback_alignment": (100, "0.80")}

EXPERIMENTS = [
    Experiment(
        f"wlnn-{rule}",
        "run-wlnn-mnist.py",
        f"params/wlnn-mnist/mnist-{rule}.yaml",
        seeds=1,
        num_generations=1000,
        figures=[
            *(
                [
                    Figure(
                        f"champion, accuracy in training, by generation {EARLY[rule][0]}",
                        EARLY[rule][1],
                        "champion/acc",
                        EARLY[rule][0],
                    )
                ]
                if rule in EARLY
                else []
            ),
            Figure("champion, test accuracy after long training, at the end", accuracy, "champion/test_acc"),
            Figure("champion, connections, at the end", connections, "champion/connections"),
            Figure("population, mean connections, at the end", connections, "stats/connections_mean"),
        ],
    )
    for rule, (accuracy, connections) in PUBLISHED.items()
]

if __name__ == "__main__":
    main("wlnn", EXPERIMENTS, __doc__)
