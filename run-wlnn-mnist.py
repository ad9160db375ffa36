"""Evolve architectures whose weights are trained by a learning rule; what is selected is how well they learn."""

import experiment
import utils
from envs import datasets
from learning.settings import TrainingSettings
from learning.task import LearningTask


def main(params: utils.Params) -> None:
    task = LearningTask(
        datasets.for_run(params),
        TrainingSettings.of(vars(params)),
        num_epochs_long=params.num_epochs_long,
        batch_size_eval=params.batch_size_eval,
        evaluation_period=params.evaluation_period,
        workers=utils.workers(params),
        evaluator=params.evaluator,
        use_cuda=params.use_cuda,
    )
    utils.evolve(params, task)


if __name__ == "__main__":
    utils.run_script(experiment.WLNN, main, __doc__)
