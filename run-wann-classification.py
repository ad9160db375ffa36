"""Evolve weight agnostic networks that tell images of digits apart, with no training at all."""

import experiment
import utils
from envs import datasets
from envs.classification_task import ClassificationTask
from networks import shared_weights


def main(params: utils.Params) -> None:
    task = ClassificationTask(
        datasets.for_run(params),
        batch_size=params.batch_size,
        workers=utils.workers(params),
        shared_weights=shared_weights.parse(params.shared_weights),
        evaluator=params.evaluator,
        use_torch=params.use_torch,
        use_cuda=params.use_cuda,
    )
    utils.evolve(params, task)


if __name__ == "__main__":
    utils.run_script(experiment.CLASSIFICATION, main, __doc__)
