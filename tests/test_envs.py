"""The project's own environments: dynamics worked out by hand, Gymnasium's checker, rendering."""

import math
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import cartpole_swingup as swingup


def test_both_environments_pass_gymnasiums_checker():
    for name in ("CartPoleSwingUp", "CartPoleSwingUp-v0", "BipedalWalker-v2"):
        with warnings.catch_warnings():
            # Unbounded observations are meant as they are, and the walker is Gymnasium's own.
            warnings.filterwarnings(
                "ignore", message=".*(out of date|latest versioned|is infinity|float32 or float64).*"
            )
            check_env(gymnasium.make(name, render_mode="rgb_array").unwrapped)


def test_a_step_by_hand():
    """Upright pole at rest, full action: F = 10, M = 1, m = 0.5, l = 0.6, c = 1, s = 0."""
    state, reward, over = swingup.step((0.1, 0.0, 0.0, 0.0), 1.0)
    cart = 4 * 10 / (4 * 1 - 3 * 0.5)  # 16
    pole = 6 * 10 / (4 * 0.6 * 1 - 3 * 0.5 * 0.6)  # 40
    assert state == pytest.approx((0.1, 0.01 * cart, 0.0, 0.01 * pole))
    assert reward == pytest.approx(math.cos(0.1 / 2.4 * math.pi / 2))
    assert not over


def test_a_moving_step_by_hand():
    """Horizontal pole: s = 1, c = 0. With x' = 2 and theta' = 3 the positions advance by the old velocities."""
    state, reward, _ = swingup.step((0.5, 2.0, math.pi / 2, 3.0), -7.0)  # clipped to -1: F = -10
    cart = (-2 * 0.5 * 0.6 * 9 + 4 * -10 - 4 * 0.1 * 2) / 4
    pole = 6 * 9.82 / (4 * 0.6)
    assert state == pytest.approx((0.52, 2 + 0.01 * cart, math.pi / 2 + 0.03, 3 + 0.01 * pole))
    assert reward == pytest.approx((math.cos(math.pi / 2 + 0.03) + 1) / 2 * math.cos(0.52 / 2.4 * math.pi / 2))


def test_upright_and_hanging_are_at_rest():
    for angle in (0.0, math.pi):
        state, _, _ = swingup.step((0.0, 0.0, angle, 0.0), 0.0)
        assert state == pytest.approx((0.0, 0.0, angle, 0.0), abs=1e-12)


def test_a_small_swing_of_the_hanging_pole_has_the_period_of_its_linearised_equation(monkeypatch):
    """Without friction, about theta = pi: theta'' = -6 M g / (4 l M - 3 m l) (theta - pi)."""
    monkeypatch.setattr(swingup, "FRICTION", 0.0)
    state, previous, crossings = (0.0, 0.0, math.pi + 0.01, 0.0), 0.01, []
    monkeypatch.setattr(swingup, "TIME_STEP", 0.0005)
    for step in range(12000):
        state, _, _ = swingup.step(state, 0.0)
        now = state[2] - math.pi
        if previous < 0 <= now:
            crossings.append(step * 0.0005)
        previous = now
    period = np.diff(crossings).mean()
    assert period == pytest.approx(2 * math.pi / math.sqrt(6 * 9.82 / (4 * 0.6 - 3 * 0.5 * 0.6)), rel=0.01)


def test_the_end_of_the_track_and_the_end_of_time():
    assert swingup.step((2.39, 2.0, math.pi, 0.0), 0.0)[2]
    assert not swingup.step((2.30, 2.0, math.pi, 0.0), 0.0)[2]
    environment = gymnasium.make("CartPoleSwingUp")
    environment.reset(seed=0)
    for step in range(1000):
        *_, terminated, truncated, _ = environment.step(np.zeros(1))
        assert (terminated, truncated) == (False, step == 999)


def test_starts_are_scattered_about_the_hanging_pole():
    environment = swingup.CartPoleSwingUp()
    states = []
    for seed in range(2000):
        environment.reset(seed=seed)
        states.append(environment.state)
    np.testing.assert_allclose(np.mean(states, axis=0), [0, 0, math.pi, 0], atol=0.02)
    np.testing.assert_allclose(np.std(states, axis=0), 0.2, atol=0.01)
    again, _ = environment.reset(seed=7)
    np.testing.assert_array_equal(again, swingup.observe(states[7]))


def test_frames_show_where_cart_and_pole_are():
    environment = gymnasium.make("CartPoleSwingUp", render_mode="rgb_array")
    environment.reset(seed=0)
    frames = []
    for state in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, math.pi, 0.0), (1.0, 0.0, 0.0, 0.0)):
        environment.unwrapped.state = np.array(state)
        frames.append(environment.render())
    assert frames[0].shape == (320, 640, 3)
    coloured = [np.abs(frame.astype(int) - swingup.POLE).sum(axis=2) < 30 for frame in frames]
    up, down, right = (np.argwhere(pixels).mean(axis=0) for pixels in coloured)
    assert up[0] < down[0] - 20  # higher on the screen
    assert up[1] == pytest.approx(320, abs=2)
    assert right[1] - up[1] == pytest.approx(swingup.SCALE / swingup.SMOOTHING, abs=2)  # one metre
    environment.close()


def test_the_old_walker_is_the_new_one():
    old, new = gymnasium.make("BipedalWalker-v2"), gymnasium.make("BipedalWalker-v3")
    observations = [environment.reset(seed=3)[0] for environment in (old, new)]
    np.testing.assert_array_equal(*observations)
    rng = np.random.default_rng(0)
    for _ in range(50):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        a, b = old.step(action), new.step(action)
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:4] == b[1:4]
