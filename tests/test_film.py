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


# ---- the film itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames_per_second", [30, 33, 25, 7, 24])
def test_a_gif_takes_as_long_as_the_episode(tmp_path, frames_per_second):
    """A GIF counts hundredths of a second: 30 frames a second were shown as 33."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 3), np.uint8)
    film.write(tmp_path / "a.gif", iter(noise), frames_per_second, most=200)
    with Image.open(tmp_path / "a.gif") as shown:
        durations = []
        for frame in range(shown.n_frames):
            shown.seek(frame)
            durations.append(shown.info["duration"])
    assert len(durations) == 90
    assert sum(durations) == pytest.approx(90 / frames_per_second * 1000, abs=5)
    assert max(durations) - min(durations) <= 10


@pytest.mark.parametrize("ground", ["black", "white", "grey", "ink", "noise"])
def test_a_caption_can_be_read_on_any_ground(ground):
    rng = np.random.default_rng(0)
    level = {"black": 0, "white": 255, "grey": 128, "ink": film.INK[0], "noise": 0}[ground]
    picture = np.full((200, 300, 3), level, np.uint8)
    if ground == "noise":
        picture = rng.integers(0, 256, picture.shape, np.uint8)
    drawn = film.written(picture, "step 10   reward 5.0").astype(int)[:, :, 0]
    on_white = film.written(np.full_like(picture, 255), "step 10   reward 5.0").astype(int)[:, :, 0]
    ink = on_white < 60
    assert ink.sum() > 50
    assert drawn[ink].max() < 100  # the letters are dark on every ground
    near = np.zeros_like(ink)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        near |= np.roll(ink, (down, right), (0, 1))
    edge = near & (on_white > 200)
    assert np.median(drawn[edge]) > 180  # and stand before a light edge


@pytest.mark.parametrize("size", [(16, 16), (500, 20), (2000, 1999), (300, 601)])
def test_frames_of_any_size_have_room_for_the_caption(size):
    height, width = size
    wide, high = film.size_of(np.zeros((height, width, 3), np.uint8), 400)
    assert film.NARROWEST <= wide <= 400
    assert wide % 2 == high % 2 == 0
    assert high / wide == pytest.approx(height / width, rel=0.05)
    drawn = film.written(np.full((high, wide, 3), 255, np.uint8), "step 10000   reward -12345.6")
    assert (drawn[:, -2:] == 255).all()


class Odd(Seen):
    """Its frames are grey, floats, of odd and growing size; it does not tell how many there are in a second."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 0}  # noqa: RUF012

    def render(self):
        return np.full((31 + self.steps, 33), self.steps / 10)

    def reset(self, *, seed=None, options=None):
        return np.zeros((16, 16, 3), np.uint8), {}

    def step(self, action):
        self.steps += 1
        return np.zeros((16, 16, 3), np.uint8), np.array([1.0]), self.steps == 4, False, {}


class Raising(Odd):
    def step(self, action):
        if self.steps == 2:
            raise ValueError("the floor\nis lava")
        return super().step(action)


class Blind(Odd):
    def render(self):
        return None


class Leaving(Odd):
    def render(self):
        raise SystemExit(0)


@pytest.fixture
def made(tmp_path):
    evolved(0, 16, 2, 0.1, mutations=5).save(tmp_path / "n.json")
    (tmp_path / "params.yaml").write_text("observation_size: 4\n")
    kinds = {f"{kind.__name__}-v0": kind for kind in (Odd, Raising, Blind, Leaving)}
    for name, kind in kinds.items():
        gymnasium.register(name, kind)
    yield lambda name, to: [
        "film", str(tmp_path / "n.json"), "--env_name", name, "--observation_size=4", "--weight=1",
        "--to", str(tmp_path / to),
    ]  # fmt: skip
    for name in kinds:
        gymnasium.registry.pop(name)


@pytest.mark.parametrize("to", ["a.gif", "a.mp4"])
def test_odd_frames_become_a_film(made, tmp_path, to):
    import imageio.v3 as imageio

    assert main(made("Odd-v0", to)) == 0
    frames = imageio.imread(tmp_path / to)
    assert frames.shape[0] == 5
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    brightness = [int(np.median(frame)) for frame in frames]
    assert brightness == pytest.approx([0, 25, 51, 76, 102], abs=6)


@pytest.mark.parametrize("to", ["a.gif", "a.mp4"])
def test_an_environment_that_fails_leaves_the_old_film_and_nothing_else(made, tmp_path, to, capsys):
    (tmp_path / to).write_bytes(b"the old film")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(made("Raising-v0", to)) == 1
    error = "error: environment Raising-v0 failed at step 2: ValueError: the floor is lava\n"
    assert capsys.readouterr().err == error
    assert main(made("Blind-v0", to)) == 1
    assert "the environment does not render as rgb_array" in capsys.readouterr().err
    assert main(made("Leaving-v0", to)) == 1
    assert capsys.readouterr().err == "error: environment Leaving-v0 failed at step 0: SystemExit: 0\n"
    assert (tmp_path / to).read_bytes() == b"the old film"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# ---- what is asked --------------------------------------------------------------------------------------------------


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
