"""Evolve weight agnostic networks that tell images of digits apart, with no training at all."""

from contextlib import closing

import utils
from envs import datasets
from envs.classification_task import ClassificationTask
from evolution import checkpoint
from evolution.loop import evolve
from evolution.workers import Workers


def main(params: utils.Params) -> None:
    settings = utils.evolution_settings(params)
    task = ClassificationTask(
        datasets.load(params.dataset, params.data_dir),
        batch_size=params.batch_size,
        workers=Workers(params.num_workers, params.backend, params.scheduler_address),
        evaluator=params.evaluator,
        use_torch=params.use_torch,
        use_cuda=params.use_cuda,
    )
    utils.check_sizes(params, task.num_inputs, task.num_outputs)
    with closing(task), utils.open_run(params, checkpoint.from_bytes) as (run, state):
        evolve(task, settings, run, state, utils.portrait(params))


if __name__ == "__main__":
    utils.run_script("run-wann-classification", main, __doc__)
