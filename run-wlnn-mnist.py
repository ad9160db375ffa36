"""Evolve architectures whose weights are trained by a learning rule; what is selected is how well they learn."""

from contextlib import closing

import utils
from envs import datasets
from evolution import checkpoint
from evolution.loop import evolve
from evolution.workers import Workers
from learning.task import LearningTask


def main(params: utils.Params) -> None:
    settings = utils.evolution_settings(params)
    task = LearningTask(
        datasets.load(params.dataset, params.data_dir),
        learning_rule=params.learning_rule,
        optimizer=params.optimizer,
        lr=params.lr,
        num_epochs=params.num_epochs,
        num_epochs_long=params.num_epochs_long,
        batch_size=params.batch_size,
        batch_size_eval=params.batch_size_eval,
        evaluation_period=params.evaluation_period,
        train_only_outputs=params.train_only_outputs,
        workers=Workers(params.num_workers, params.backend, params.scheduler_address),
        evaluator=params.evaluator,
        use_cuda=params.use_cuda,
    )
    utils.check_sizes(params, task.num_inputs, task.num_outputs)
    with closing(task), utils.open_run(params, checkpoint.from_bytes) as (run, state):
        evolve(task, settings, run, state, utils.portrait(params))


if __name__ == "__main__":
    utils.run_script("run-wlnn-mnist", main, __doc__)
