"""`analysis film`: what is seen is the episode that is scored."""

import gymnasium
import numpy as np
import pytest
from genomes import evolved
from gymnasium import spaces
from PIL import Image

from analysis import film
from analysis.__main__ import main
from envs import rollout
from envs.gym_task import GymTask
from evolution.workers import Workers

SEED = 3


def play(env_name, genome, weight=1.0, max_steps=10_000, **rules):
    """A player after its episode, and the states in which the environment was seen."""
    weights = np.full(genome.num_connections, weight)
    player = film.Player(genome, weights, env_name, SEED, max_steps, **rules)
    player.every = 1
    states = []
    player.frame = lambda: states.append(np.array(player.environment.unwrapped.state))
    list(player.frames())
    return player, np.array(states)


@pytest.mark.parametrize(
    ("env_name", "inputs", "outputs", "rules"),
    [
        ("CartPoleSwingUp", 5, 1, {}),
        ("CartPole-v1", 4, 2, {"env_kwargs": {"sutton_barto_reward": True}}),
        ("Pendulum-v1", 3, 1, {"scale_actions": True}),
        ("Acrobot-v1", 6, 3, {"max_episode_steps": 80}),
    ],
)
def test_the_film_shows_the_episode_that_the_kernels_score(env_name, inputs, outputs, rules):
    for network in range(3):
        genome = evolved(network, inputs, outputs, mutations=20)
        task = GymTask(env_name, num_trials=1, workers=Workers(1), **rules)
        rewards, lengths = task.episodes([genome], [1.0], [SEED])
        player, states = play(env_name, genome, **rules)
        assert (player.reward, player.steps) == (rewards.item(), lengths.item())
        assert len(states) == player.steps + 1
        # What was rendered is where the kernels were: the last state observes as the kernels do.
        assert player.kernel is not None
        np.testing.assert_array_equal(states[-1], player.kernel.state)
        np.testing.assert_array_equal(states[0], rollout.starts(env_name, [SEED], rules.get("env_kwargs"))[0])


def test_a_chaotic_episode_of_gymnasiums_is_another_one():
    """Without the kernels' states the film would show it."""
    genome = evolved(2, 5, 1, mutations=20)
    (ours, _), (others, _) = (play("CartPoleSwingUp", genome, evaluator=which) for which in ("auto", "reference"))
    task = GymTask("CartPoleSwingUp", num_trials=1, workers=Workers(1), evaluator="reference")
    assert others.kernel is None
    assert others.reward == task.episodes([genome], [1.0], [SEED])[0].item()  # of a run that was scored by Gymnasium
    assert ours.reward != others.reward


def test_a_step_by_step_episode_is_a_replay():
    rng = np.random.default_rng(0)
    for env_name, actions in (
        ("CartPoleSwingUp", rng.uniform(-1, 1, (30, 1))),
        ("Acrobot-v1", rng.integers(3, size=30)),
    ):
        steps = rollout.Steps(env_name, SEED)
        observations, rewards, terminated = rollout.replay(env_name, SEED, actions)
        np.testing.assert_array_equal(steps.observation, observations[0])
        for t, action in enumerate(actions):
            assert steps.step(action) == (rewards[t], terminated[t])
            np.testing.assert_array_equal(steps.observation, observations[t + 1])
    assert not rollout.Steps.are_there("BipedalWalker-v3")  # Gymnasium's has the kernel's bits, but no state
    assert not rollout.Steps.are_there("FrozenLake-v1")


def test_the_run_says_how_the_episode_goes_and_the_command_line_otherwise(tmp_path, capsys):
    evolved(4, 4, 2, mutations=10).save(tmp_path / "champion_network.json")
    run = "script: run-wann-gym\nenv_name: CartPole-v1\nenv_kwargs: {sutton_barto_reward: true}\nmax_episode_steps: 6\n"
    (tmp_path / "params.yaml").write_text(run)
    command = ["film", str(tmp_path / "champion_network.json"), "--weight", "1", "--to", str(tmp_path / "film.GIF")]
    for more, said in (
        ([], "6 steps, reward 0.00"),
        (["--max_steps", "5"], "5 steps, reward 0.00"),
        (["--env_kwargs", "{sutton_barto_reward: false}", "--max_episode_steps=4"], "4 steps, reward 4.00"),
        (["--env_name", "CartPole-v0", "--max_steps", "7"], "7 steps, reward 7.00"),  # not the run's: nothing is of it
    ):
        assert main([*command, *more]) == 0
        assert said in capsys.readouterr().out
    assert main([*command, "--scale_actions=true"]) == 2
    assert "scale_actions: the actions of CartPole-v1 are Discrete" in capsys.readouterr().err
    assert main([*command, "--env_kwargs", "[1]"]) == 2
    assert "command line: env_kwargs is [1]" in capsys.readouterr().err


class Seen(gymnasium.Env):
    """What is observed is a picture, and earns its number of steps."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode, self.steps = render_mode, 0

    def reset(self, *, seed=None, options=None):
        return self.render(), {}

    def step(self, action):
        self.steps += 1
        return self.render(), float(self.steps), self.steps == 4, False, {}

    def render(self):
        return np.full((16, 16, 3), self.steps, np.uint8)


def test_images_are_filmed_as_the_network_sees_them(tmp_path, capsys):
    evolved(0, 16, 2, 0.1, mutations=5).save(tmp_path / "n.json")
    (tmp_path / "params.yaml").write_text("env_name: Seen-v0\nobservation_size: 4\n")
    gymnasium.register("Seen-v0", Seen)
    try:
        assert main(["film", str(tmp_path / "n.json"), "--weight", "1", "--to", str(tmp_path / "a.gif")]) == 0
    finally:
        gymnasium.registry.pop("Seen-v0")
    assert "4 steps, reward 10.00" in capsys.readouterr().out


def test_a_network_that_does_not_say_its_environment(tmp_path, capsys):
    evolved(4, 4, 2).save(tmp_path / "n.json")
    assert main(["film", str(tmp_path / "n.json"), "--weight", "1", "--to", str(tmp_path / "a.gif")]) == 2
    assert "n.json does not say what it was evolved for: give --env_name" in capsys.readouterr().err


def test_where_the_film_goes_is_seen_first(tmp_path, capsys):
    evolved(4, 4, 2).save(tmp_path / "n.json")
    (tmp_path / "folder.gif").mkdir()
    command = ["film", str(tmp_path / "n.json"), "--env_name", "broken_environments:Crashing-v0", "--weight=1", "--to"]
    for to, said in (
        ("n.json/a.gif", "cannot be written"),
        ("folder.gif", "is a folder"),
        ("x" * 252 + ".gif", "a file's name has 255 bytes at most"),
        ("a.txt", "must be a .gif or an .mp4"),
    ):
        assert main([*command, str(tmp_path / to)]) == 2
        assert said in capsys.readouterr().err


def test_the_longest_name_is_a_films(tmp_path):
    evolved(4, 4, 2).save(tmp_path / "n.json")
    to = tmp_path / ("x" * 251 + ".gif")
    command = ["film", str(tmp_path / "n.json"), "--env_name", "CartPole-v1", "--weight", "1", "--max_steps", "2"]
    assert main([*command, "--to", str(to)]) == 0
    assert Image.open(to).n_frames == 2
