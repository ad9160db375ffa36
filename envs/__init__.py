"""What is to be solved: environments, data sets, and the tasks that give networks their fitness.

Importing this package registers the project's own environments with Gymnasium: `CartPoleSwingUp` (the same as
`CartPoleSwingUp-v0`) and `BipedalWalker-v2`, Gymnasium's v3 under the id of the thesis's experiments.
"""

import warnings

import gymnasium


def _register() -> None:
    if "CartPoleSwingUp-v0" not in gymnasium.registry:
        gymnasium.register("CartPoleSwingUp-v0", "envs.cartpole_swingup:CartPoleSwingUp", max_episode_steps=1000)
    if "BipedalWalker-v2" not in gymnasium.registry:
        walker = gymnasium.spec("BipedalWalker-v3")
        gymnasium.register(
            "BipedalWalker-v2",
            walker.entry_point,
            reward_threshold=walker.reward_threshold,
            max_episode_steps=walker.max_episode_steps,
        )
    # The experiments' own names are meant as they are: no advice to take another version.
    for advice in (
        "The environment (CartPole-v0|BipedalWalker-v2) is out of date",
        "Using the latest versioned environment `CartPoleSwingUp-v0`",
    ):
        warnings.filterwarnings("ignore", message=f".*{advice}")


_register()
