"""The compiled episodes against the Gymnasium environments and the readable forward pass."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from genomes import evolved
from hypothesis import given, settings
from hypothesis import strategies as st

import envs  # noqa: F401 (registers CartPoleSwingUp)
from envs.rollout import episodes, replay, starts, supports
from evolution.errors import InputError
from evolution.genome import ACTIVATION_NAMES, Genome
from networks import reference
from networks.compiled import LANES

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date", "ignore:.*Using the latest versioned environment")

WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
SWING_UP, CART_POLE = "CartPoleSwingUp", "CartPole-v1"
STABLE = [1.0, 2.4, 35.0, 7.0]  # gains on position, velocity, angle and angular velocity that hold CartPole's pole up
NAMES = (SWING_UP, "CartPoleSwingUp-v0", "CartPole-v0", CART_POLE)


def played(env_name: str, seed: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Observations, rewards and terminations of the Gymnasium environment, and whether its time limit was reached."""
    env = gymnasium.make(env_name)
    observations, rewards, terminations, truncated = [env.reset(seed=seed)[0]], [], [], False
    for action in actions:
        step = env.step(int(action) if "CartPole-" in env_name else np.array([action]))
        observations.append(step[0])
        rewards.append(step[1])
        terminations.append(step[2])
        truncated = step[3]
        if step[2] or truncated:
            break
    return np.array(observations), np.array(rewards), np.array(terminations), truncated


def same_steps(env_name: str, seed: int, actions: np.ndarray) -> int:
    """Compare until the episode ends; gives its length."""
    observations, rewards, terminations, _ = played(env_name, seed, actions)
    length = len(rewards)
    got_observations, got_rewards, got_terminated = replay(env_name, seed, actions)
    if "CartPole-" in env_name:  # observed in 32-bit floats: one unit there, where the rounding falls on an edge
        np.testing.assert_array_max_ulp(got_observations[: length + 1].astype(np.float32), observations, maxulp=1)
    else:
        np.testing.assert_allclose(got_observations[: length + 1], observations, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got_rewards[:length], rewards, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(got_terminated[:length], terminations)
    return length


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 2), st.sampled_from([1, 10, 40]))
def test_swing_up_is_the_environment_step_for_step(seed: int, size: float, hold: int) -> None:
    actions = np.repeat(np.random.default_rng(seed).normal(size=300) * size, hold)[:300]
    same_steps(SWING_UP, seed, actions)


def test_swing_up_is_the_environment_for_a_whole_episode() -> None:
    """Pushes that swing the pole above the horizontal and keep the cart on the track, recorded in the environment."""
    env = gymnasium.make(SWING_UP)
    observation, actions, height = env.reset(seed=3)[0], [], -1.0
    for t in range(1000):
        actions.append(np.clip(0.8 * np.sin(0.05 * t) - observation[0] - 0.5 * observation[1], -1, 1))
        observation = env.step(np.array(actions[-1:]))[0]
        height = max(height, observation[2])
    assert height > 0.4
    assert same_steps(SWING_UP, 3, np.array(actions)) == 1000
    assert played(SWING_UP, 3, np.array(actions))[3]


@pytest.mark.parametrize("env_name", ["CartPole-v0", CART_POLE])
def test_cart_pole_is_the_environment_step_for_step(env_name: str) -> None:
    lengths = [same_steps(env_name, s, np.random.default_rng(s).integers(0, 2, 100)) for s in range(40)]
    assert min(lengths) < 15
    assert max(lengths) > 40


@pytest.mark.parametrize("env_name", NAMES)
def test_trials_start_as_the_environment_does(env_name: str) -> None:
    env = gymnasium.make(env_name)
    for seed in (0, 1, 2**31 - 1):
        observation = env.reset(seed=seed)[0]
        np.testing.assert_array_equal(starts(env_name, [seed])[0], env.unwrapped.state)  # type: ignore[attr-defined]
        np.testing.assert_allclose(replay(env_name, seed, [])[0], [observation], rtol=1e-15, atol=1e-16)


# ---- hand-made controllers -----------------------------------------------------------------------------------------


def connected(num_inputs: int, num_outputs: int, pairs: list[tuple[int, int]], use_bias: bool = False) -> Genome:
    """Linear outputs on inputs, no hidden neuron; `pairs` of input and output."""
    num_inputs += use_bias
    return Genome(
        num_inputs,
        num_outputs,
        np.repeat(np.array([0, 1], np.int32), [num_inputs, num_outputs]),
        np.zeros(num_inputs + num_outputs, np.int8),
        np.array([(i, num_inputs + o) for i, o in pairs], np.int32).reshape(-1, 2),
        use_bias=use_bias,
    )


def closed_loop(
    genome: Genome, env_name: str, weights: float | np.ndarray, seed: int, max_episode_steps: int | None = None
) -> tuple[float, int]:
    """Cumulative reward and length by the readable network and the Gymnasium environment."""
    env = gymnasium.make(env_name, max_episode_steps=max_episode_steps)
    observation, total, length = env.reset(seed=seed)[0], 0.0, 0
    visible = slice(genome.num_inputs, genome.num_inputs + genome.num_outputs)
    while True:
        outputs = reference.neuron_values(genome, observation[None], weights)[0, visible]
        step = env.step(int(np.argmax(outputs)) if "CartPole-" in env_name else np.clip(outputs, -1, 1))
        observation, total, length = step[0], total + float(step[1]), length + 1
        if step[2] or step[3]:
            return total, length


def test_a_network_without_connections_does_nothing() -> None:
    rewards, lengths = episodes([connected(5, 1, [])], SWING_UP, [1.0], range(3), take_argmax_action=False)
    assert (lengths == 1000).all()  # nobody pushes: the cart stays on the track
    for k in range(3):
        expected = played(SWING_UP, k, np.zeros(1000))[1].sum()
        assert rewards[0, 0, k] == pytest.approx(expected, abs=1e-6)


def test_a_constant_push_leaves_the_track_when_the_environment_says() -> None:
    rewards, lengths = episodes([connected(5, 1, [(5, 0)], True)], SWING_UP, WEIGHTS, [7], take_argmax_action=False)
    for w, weight in enumerate(WEIGHTS):
        expected = played(SWING_UP, 7, np.full(1000, weight))[1]
        assert lengths[0, w, 0] == len(expected) < 1000
        assert rewards[0, w, 0] == pytest.approx(expected.sum(), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_linear_feedback_in_swing_up_is_the_reference_in_a_closed_loop(seed: int) -> None:
    """Each connection with a weight of its own: small ones damp, larger ones drive the cart off the track."""
    genome = connected(5, 1, [(0, 0), (1, 0), (3, 0), (4, 0)])
    weights = np.random.default_rng(seed).normal(size=(3, 4)) * [[0.1], [0.5], [1]]
    rewards, lengths = episodes([genome], SWING_UP, [weights], [seed], take_argmax_action=False, max_episode_steps=200)
    for w in range(3):
        reward, length = closed_loop(genome, SWING_UP, weights[w], seed, max_episode_steps=200)
        assert lengths[0, w, 0] == length
        assert rewards[0, w, 0] == pytest.approx(reward, abs=1e-6)


@pytest.mark.parametrize(("env_name", "limit"), [("CartPole-v0", 200), (CART_POLE, 500)])
def test_linear_feedback_in_cart_pole_is_the_reference_in_a_closed_loop(env_name: str, limit: int) -> None:
    """Four gains that keep the pole upright, the same the wrong way round, and four that let the cart run away."""
    genome = connected(4, 2, [(0, 1), (1, 1), (2, 1), (3, 1)])
    weights = np.array([STABLE, [-gain for gain in STABLE], [0, 0, 1, 0.1]])
    rewards, lengths = episodes([genome], env_name, [weights], [0, 1, 2], take_argmax_action=True)
    for w in range(3):
        for k in range(3):
            assert (rewards[0, w, k], lengths[0, w, k]) == closed_loop(genome, env_name, weights[w], k)
    assert (lengths[0, 0] == limit).all()
    assert (lengths[0, 1] < 50).all()


@st.composite
def smooth(draw: st.DrawFn, num_inputs: int, num_outputs: int) -> Genome:
    """A random network of all activations but the step, whose jumps would make rounding decide an episode."""
    seed, mutations, use_bias = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 60)), draw(st.booleans())
    genome = evolved(seed, num_inputs, num_outputs, 0.5, mutations, use_bias=use_bias)
    step, tanh = ACTIVATION_NAMES.index("step"), ACTIVATION_NAMES.index("tanh")
    return replace(genome, activations=np.where(genome.activations == step, tanh, genome.activations).astype(np.int8))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(smooth(4, 2), st.integers(0, 2**31))
def test_random_networks_in_cart_pole_are_the_reference_in_a_closed_loop(genome: Genome, seed: int) -> None:
    rewards, lengths = episodes([genome], CART_POLE, WEIGHTS, [seed], take_argmax_action=True, max_episode_steps=30)
    for w, weight in enumerate(WEIGHTS):
        expected = closed_loop(genome, CART_POLE, weight, seed, max_episode_steps=30)
        assert (rewards[0, w, 0], lengths[0, w, 0]) == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(smooth(5, 1), st.integers(0, 2**31))
def test_random_networks_in_swing_up_are_the_reference_for_a_few_steps(genome: Genome, seed: int) -> None:
    rewards, lengths = episodes([genome], SWING_UP, WEIGHTS, [seed], take_argmax_action=False, max_episode_steps=4)
    for w, weight in enumerate(WEIGHTS):
        reward, length = closed_loop(genome, SWING_UP, weight, seed, max_episode_steps=4)
        assert lengths[0, w, 0] == length
        assert rewards[0, w, 0] == pytest.approx(reward, abs=1e-9)
    # Equal weights for all connections, powers of two, are the shared weight to the last bit, whatever the length.
    equal = np.repeat(WEIGHTS[:, None], genome.num_connections, axis=1)
    shared = episodes([genome], SWING_UP, WEIGHTS, [seed], take_argmax_action=False)
    individual = episodes([genome], SWING_UP, [equal], [seed], take_argmax_action=False)
    np.testing.assert_array_equal(shared, individual)


def test_the_given_time_limit_counts() -> None:
    genome = connected(5, 1, [])
    for limit in (1, 17):
        rewards, lengths = episodes([genome], SWING_UP, [1.0], [0], take_argmax_action=False, max_episode_steps=limit)
        assert lengths[0, 0, 0] == limit
        assert rewards[0, 0, 0] == pytest.approx(played(SWING_UP, 0, np.zeros(limit))[1].sum(), abs=1e-12)


# ---- what a result must not depend on ------------------------------------------------------------------------------


def swing_up_networks(count: int, mutations: int = 40) -> list[Genome]:
    return [evolved(seed, num_outputs=1, mutations=mutations, use_bias=True) for seed in range(count)]


def test_results_do_not_depend_on_the_other_networks_weights_and_trials() -> None:
    """To the last bit, with more episodes than lanes, fewer than a vector, and any neighbours."""
    population, seeds = swing_up_networks(12), list(range(12))
    assert len(WEIGHTS) * len(seeds) > LANES
    rewards, lengths = episodes(population, SWING_UP, WEIGHTS, seeds, take_argmax_action=False)
    assert len(np.unique(lengths)) > 20
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = rng.permutation(12)[: rng.integers(1, 4)]
        w = rng.permutation(6)[: rng.integers(1, 7)]
        k = rng.permutation(12)[: rng.integers(1, 13)]
        part = [population[i] for i in n]
        some_rewards, some_lengths = episodes(
            part, SWING_UP, WEIGHTS[w], [seeds[i] for i in k], take_argmax_action=False
        )
        np.testing.assert_array_equal(some_rewards, rewards[np.ix_(n, w, k)])
        np.testing.assert_array_equal(some_lengths, lengths[np.ix_(n, w, k)])


def test_individual_weights_of_many_networks() -> None:
    """Each network gets its own, in the order of its connections, dead ones among them."""
    population = [evolved(seed, num_outputs=1, mutations=3 * seed) for seed in range(8)]
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, genome.num_connections)) for genome in population]
    rewards, lengths = episodes(population, SWING_UP, weights, [1, 2], take_argmax_action=False)
    for n, genome in enumerate(population):
        alone = episodes([genome], SWING_UP, [weights[n][::-1]], [1, 2], take_argmax_action=False)
        np.testing.assert_array_equal(alone[0][0, ::-1], rewards[n])
        np.testing.assert_array_equal(alone[1][0, ::-1], lengths[n])
    # A connection into nothing that reaches the output may weigh what it likes.
    genome = replace(
        connected(5, 1, [(0, 0), (3, 0)]),
        layers=np.array([0, 0, 0, 0, 0, 2, 1], np.int32),
        activations=np.zeros(7, np.int8),
        connections=np.array([[0, 5], [1, 6], [3, 5]], np.int32),
    )
    a, b = (episodes([genome], SWING_UP, [[[0.5, w, 2.0]]], [0], take_argmax_action=False)[0] for w in (1.0, 1e6))
    assert a == b


# ---- not a number ---------------------------------------------------------------------------------------------------


def test_nan_makes_the_reward_nan_and_the_episode_run_to_its_limit() -> None:
    genome = connected(5, 1, [(0, 0)])
    rewards, lengths = episodes([genome], SWING_UP, [[[np.nan], [0.0]]], [0], take_argmax_action=False)
    assert np.isnan(rewards[0, 0, 0])
    assert np.isfinite(rewards[0, 1, 0])  # the lane beside it
    assert (lengths == 1000).all()


@pytest.mark.parametrize(("left", "right", "action"), [(np.nan, 1, 0), (1, np.nan, 1), (np.nan, np.nan, 0)])
def test_nan_is_the_largest_output_as_for_numpy(left: float, right: float, action: int) -> None:
    genome = connected(4, 2, [(4, 0), (4, 1)], use_bias=True)
    assert np.argmax([left, right]) == action
    _, lengths = episodes([genome], CART_POLE, [[[left, right]]], [0], take_argmax_action=True)
    assert lengths[0, 0, 0] == len(played(CART_POLE, 0, np.full(500, action))[1])


def test_equal_outputs_mean_the_first_action() -> None:
    _, lengths = episodes([connected(4, 2, [])], CART_POLE, [1.0], [0], take_argmax_action=True)
    assert lengths[0, 0, 0] == len(played(CART_POLE, 0, np.zeros(500))[1])


def test_an_output_without_sources_is_f_of_0_whatever_the_weight() -> None:
    """cos 0 = 1 pushes with full force, also where the shared weight is no number."""
    cosine = np.int8(ACTIVATION_NAMES.index("cosine"))
    genome = replace(connected(5, 1, []), activations=np.array([0, 0, 0, 0, 0, cosine], np.int8))
    rewards, _ = episodes([genome], SWING_UP, [2.0, np.inf, np.nan], [0], take_argmax_action=False)
    expected = played(SWING_UP, 0, np.ones(1000))[1].sum()
    np.testing.assert_allclose(rewards.ravel(), expected, atol=1e-9)


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_what_is_supported() -> None:
    assert all(supports(name) for name in NAMES)
    assert not supports("LunarLander-v3")
    for name in NAMES:
        spec = gymnasium.spec(name if name != SWING_UP else "CartPoleSwingUp-v0")
        network = connected(5, 1, [(0, 0)]) if "SwingUp" in name else connected(4, 2, [(i, 1) for i in range(4)])
        weights = [[0.0]] if "SwingUp" in name else [STABLE]
        lengths = episodes([network], name, [weights], [0], take_argmax_action="CartPole-" in name)[1]
        assert lengths[0, 0, 0] == spec.max_episode_steps


def test_errors() -> None:
    swing_up, cart_pole = connected(5, 1, []), connected(4, 2, [])
    with pytest.raises(InputError, match=r"no compiled environment 'Pong-v0'; there are .*CartPole-v1, "):
        episodes([swing_up], "Pong-v0", WEIGHTS, [0], take_argmax_action=False)
    with pytest.raises(InputError, match="take_argmax_action is True; CartPoleSwingUp needs False"):
        episodes([swing_up], SWING_UP, WEIGHTS, [0], take_argmax_action=True)
    with pytest.raises(InputError, match="take_argmax_action is False; CartPole-v1 needs True"):
        episodes([cart_pole], CART_POLE, WEIGHTS, [0], take_argmax_action=False)
    with pytest.raises(ValueError, match="4 inputs and 2 outputs; CartPoleSwingUp has 5 inputs and 1 outputs"):
        episodes([cart_pole], SWING_UP, WEIGHTS, [0], take_argmax_action=False)
    with pytest.raises(ValueError, match="each network needs its"):
        episodes([swing_up], SWING_UP, [np.zeros((2, 3))], [0], take_argmax_action=False)
