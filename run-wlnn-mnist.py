"""Evolve architectures whose weights are trained by a learning rule; what is selected is how well they learn."""

from contextlib import closing

import utils
from envs import datasets
from evolution import checkpoint
from evolution.loop import evolve
from evolution.workers import Workers
from learning.settings import TrainingSettings
from learning.task import LearningTask


def main(params: utils.Params) -> None:
    settings = utils.evolution_settings(params)
    task = LearningTask(
        datasets.load(params.dataset, params.data_dir),
        TrainingSettings.of(vars(params)),
        num_epochs_long=params.num_epochs_long,
        batch_size_eval=params.batch_size_eval,
        evaluation_period=params.evaluation_period,
        workers=Workers(params.num_workers, params.backend, params.scheduler_address),
        evaluator=params.evaluator,
        use_cuda=params.use_cuda,
    )
    utils.check_sizes(params, task.num_inputs, task.num_outputs)
    with closing(task), utils.open_run(params, checkpoint.from_bytes) as (run, state):
        evolve(task, settings, run, state, utils.portrait(params))


if __name__ == "__main__":
    utils.run_script("run-wlnn-mnist", main, __doc__)
