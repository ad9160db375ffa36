"""Evolve weight agnostic networks on a Gymnasium environment: only the graph evolves, all weights are one value."""

from contextlib import closing

import utils
from envs.gym_task import GymTask
from evolution import checkpoint
from evolution.loop import evolve
from evolution.workers import Workers


def main(params: utils.Params) -> None:
    settings = utils.evolution_settings(params)
    workers = Workers(params.num_workers, params.backend, params.scheduler_address)
    task = GymTask(
        params.env_name,
        num_trials=params.num_trials,
        take_argmax_action=params.take_argmax_action,
        workers=workers,
        evaluator=params.evaluator,
        max_episode_steps=params.max_episode_steps,
        on_env_error=params.on_env_error,
    )
    utils.check_sizes(params, task.num_inputs, task.num_outputs)
    with closing(task), utils.open_run(params, checkpoint.from_bytes) as (run, state):
        evolve(task, settings, run, state, utils.portrait(params))


if __name__ == "__main__":
    utils.run_script("run-wann-gym", main, __doc__)
