"""Evolve weight agnostic networks on a Gymnasium environment: only the graph evolves, all weights are one value."""

import experiment
import utils
from envs.gym_task import GymTask
from networks import shared_weights


def main(params: utils.Params) -> None:
    task = GymTask(
        params.env_name,
        num_trials=params.num_trials,
        take_argmax_action=params.take_argmax_action,
        workers=utils.workers(params),
        shared_weights=shared_weights.parse(params.shared_weights),
        evaluator=params.evaluator,
        max_episode_steps=params.max_episode_steps,
        on_env_error=params.on_env_error,
        env_kwargs=params.env_kwargs,
        scale_actions=params.scale_actions,
        observation_size=params.observation_size,
    )
    utils.evolve(params, task)


if __name__ == "__main__":
    utils.run_script(experiment.GYM, main, __doc__)
