"""The two-legged walker's kernels against Gymnasium's class and the Box2D wheel: the same bits, and pieces by hand."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

from benchmarks.walker import POLICIES, episode, play
from envs import rollout, shared_lanes
from envs.compiled import find
from envs.compiled.seam import ACTION, REWARD, TERMINATED
from envs.gym_task import GymTask
from envs.walker import bodies, joints
from envs.walker.bodies import BODY, HULL_AT, THIGH_AT
from envs.walker.contact import MOST_CONTACTS, NUM_FLOATS, NUM_INTEGERS, TOUCHING, clip, feature
from envs.walker.rotation import sine_cosine
from envs.walker.simulation import has_moved, new_world, prepare_joints
from envs.walker.terrain import LENGTH, terrain
from evolution.errors import RunError
from evolution.genome import Genome
from evolution.mutation import add_connection
from evolution.workers import Workers
from networks.compiled import LANES, WIDTH
from tests.genomes import evolved

NAME = "BipedalWalker-v3"
F = np.float32


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31 - 1])
def test_terrain_and_start_are_gymnasiums(seed: int) -> None:
    environment = BipedalWalker()
    observation, _ = environment.reset(seed=seed)
    heights, _ = terrain(seed)
    np.testing.assert_array_equal(heights, environment.terrain_y)
    np.testing.assert_array_equal(rollout.replay(NAME, seed, np.zeros((0, 4)))[0][0], observation)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", [3, 4])
def test_every_bit_is_box2ds(policy: str, seed: int) -> None:
    actions, observations, rewards, ends = play(policy, seed, 250)
    ours = rollout.replay(NAME, seed, actions)
    np.testing.assert_array_equal(ours[0], observations)
    np.testing.assert_array_equal(ours[1], rewards)
    np.testing.assert_array_equal(ours[2], ends)
    assert len(actions) > 40


def test_after_its_end_an_episode_goes_on_as_the_reference_does() -> None:
    environment = BipedalWalker()
    environment.reset(seed=5)
    actions = np.tile(np.array([1, -1, 1, -1], F), (150, 1))
    steps = [environment.step(action) for action in actions]
    _, rewards, ends = rollout.replay(NAME, 5, actions)
    np.testing.assert_array_equal(ends, [step[2] for step in steps])
    assert ends.any()
    assert (rewards[ends] == -100).all()


def test_episodes_are_those_of_the_reference() -> None:
    """Also with more episodes than lanes, so that lanes are refilled and move."""
    genome = evolved(2, 24, 4, mutations=60)
    weights, seeds = [-1.5, 0.5, 1.0], list(range(12))
    rewards, lengths = rollout.episodes([genome], NAME, weights, seeds, take_argmax_action=False, max_episode_steps=90)
    for w, weight in enumerate(weights):
        for k in (0, 11):
            expected = episode(genome, weight, seeds[k], 90)
            assert lengths[0, w, k] == expected[1]
            assert rewards[0, w, k] == pytest.approx(expected[0], abs=2e-3)


@pytest.mark.parametrize("most", [7, 4096])
def test_lanes_of_several_networks_change_no_bit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any networks, weights and trials together give what each episode gives alone, in any order, however many ride."""
    monkeypatch.setattr(shared_lanes, "MOST_RIDERS", most)
    population = [evolved(seed, 24, 4, mutations=20 * seed) for seed in (0, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
    weights, seeds, limit = np.array([-2.0, -0.5, 1.0]), [5, 6], 80
    rng = np.random.default_rng(0)
    own = [rng.normal(size=(3, genome.num_connections)) for genome in population]

    def played(which: Sequence[int], individual: bool, trials: Sequence[int] = (0, 1)) -> tuple[npt.NDArray, ...]:
        genomes, given = [population[n] for n in which], [own[n] for n in which] if individual else weights
        some = [seeds[k] for k in trials]
        return rollout.episodes(genomes, NAME, given, some, take_argmax_action=False, max_episode_steps=limit)

    for individual in (False, True):
        rewards, lengths = played(range(13), individual)
        assert rewards.size > LANES
        assert len(np.unique(lengths)) > 3
        for n, genome in enumerate(population):
            for w in range(3):
                given = [own[n][w : w + 1]] if individual else weights[w : w + 1]
                for k, seed in enumerate(seeds):
                    alone = rollout.episodes(
                        [genome], NAME, given, [seed], take_argmax_action=False, max_episode_steps=limit
                    )
                    assert (rewards[n, w, k], lengths[n, w, k]) == (alone[0].item(), alone[1].item())
        for trials in ((0,), (1, 0)):
            which = rng.permutation(13)[: rng.integers(2, 9)].tolist()
            part = played(which, individual, trials)
            np.testing.assert_array_equal(part[0], rewards[which][:, :, trials])
            np.testing.assert_array_equal(part[1], lengths[which][:, :, trials])


def test_networks_without_connections_have_no_weights() -> None:
    """Alone and beside one that has a single connection; and no episodes at all."""
    rng = np.random.default_rng(0)
    nothing = Genome.initial(24, 4, 0.0, rng)
    one = add_connection(nothing, rng)
    assert (nothing.num_connections, one.num_connections) == (0, 1)
    own = [np.zeros((3, 0)), np.array([[-1.0], [0.5], [2.0]])]
    limit = {"take_argmax_action": False, "max_episode_steps": 60}
    together = rollout.episodes([nothing, one], NAME, own, [0, 1], **limit)[0]
    np.testing.assert_array_equal(
        together[0], rollout.episodes([nothing], NAME, [1.0, 1.0, 1.0], [0, 1], **limit)[0][0]
    )
    np.testing.assert_array_equal(together[1], rollout.episodes([one], NAME, own[1].ravel(), [0, 1], **limit)[0][0])
    assert rollout.episodes([one], NAME, [1.0], [], **limit)[0].shape == (1, 1, 0)


def test_episodes_that_are_alike_ride_in_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of a network to the end; another network until its actions part from theirs, which are then kept."""
    rooms = []

    def room(*given: Any) -> tuple[shared_lanes.Riders, shared_lanes.Branches]:
        rooms.append(make_room(*given))
        return rooms[-1]

    make_room = shared_lanes.room
    monkeypatch.setattr(shared_lanes, "room", room)
    genome, other = evolved(2, 24, 4, mutations=60), evolved(3, 24, 4, mutations=60)
    three = [genome, other, genome]
    rewards, lengths = rollout.episodes(three, NAME, [1.0], [0], take_argmax_action=False)
    [(riders, branches)] = rooms
    total, steps = branches.so_far[0]
    until, _ = rollout.episodes(three, NAME, [1.0], [0], take_argmax_action=False, max_episode_steps=int(steps))
    assert riders.next.tolist() == [-1, -1, 0]  # the first one rides behind the last one, the other alone
    assert rewards[0, 0, 0] == rewards[2, 0, 0] != rewards[1, 0, 0]
    assert 0 < steps < lengths.min()
    assert until.ravel().tolist() == [total] * 3


def test_an_episode_goes_on_from_what_was_kept_of_it() -> None:
    """In a lane of another world, bit for bit; also where it touches the ground."""
    actions = play("heuristic", 3, 120)[0]
    found = find(NAME)
    assert found is not None
    walker = found.compiled

    def moved(world: Any, state: npt.NDArray, lane: int, steps: npt.NDArray) -> list[tuple[float, ...]]:
        passed = []
        for action in steps:
            for a in range(4):
                state[ACTION + a * LANES + lane] = action[a]
            walker.step(world, state, WIDTH)
            rows = world.s[lane::LANES]
            passed.append(
                (state[REWARD + lane], state[TERMINATED + lane], *rows[: bodies.NUM_BODIES * bodies.BODY_ROWS])
            )
        return passed

    first, second = (walker.world(found.parameters) for _ in range(2))
    state, other = (np.zeros(ACTION + walker.num_rows * LANES) for _ in range(2))
    walker.start(first, state, 0, rollout.starts(NAME, [3])[0])
    moved(first, state, 0, actions[:70])
    assert first.contacts[0, : first.counts[0], TOUCHING].any()
    kept = np.full((2, walker.most_kept), np.nan)
    count = walker.keep(first, 0, kept, 1)
    walker.start(second, other, 5, kept[1])
    assert np.isfinite(kept[1, :count]).all()
    assert moved(second, other, 5, actions[70:]) == moved(first, state, 0, actions[70:])


def test_rewards_are_those_of_any_number_of_workers_and_of_the_reference() -> None:
    """As run-wann-gym.py asks for them: by two threads, by one, and by Gymnasium with the readable network."""
    population = [evolved(seed, 24, 4, mutations=30) for seed in range(6)]
    found = {}
    for evaluator, count in (("auto", 1), ("auto", 2), ("reference", 1)):
        workers = Workers(count, "threading")
        with contextlib.closing(
            GymTask("BipedalWalker-v2", num_trials=1, workers=workers, evaluator=evaluator, max_episode_steps=40)
        ) as task:
            few = population if evaluator == "auto" else population[:2]
            found[evaluator, count] = task.evaluate(few, np.random.default_rng(0)).reward
    np.testing.assert_array_equal(found["auto", 1], found["auto", 2])
    np.testing.assert_allclose(found["reference", 1], found["auto", 1][:2], rtol=0, atol=1e-9)


def test_what_is_not_a_number_ends_an_episode() -> None:
    actions = np.zeros((3, 4))
    actions[1, 2] = np.nan
    _, rewards, ends = rollout.replay(NAME, 0, actions)
    assert np.isnan(rewards[1])
    assert ends.tolist() == [False, True, False]


def test_ids_and_the_hardcore_walker() -> None:
    assert find("BipedalWalker-v2") is not None
    assert find(NAME, {"hardcore": False}) is not None
    assert find(NAME, {"hardcore": True}) is None
    assert find("BipedalWalkerHardcore-v3") is None
    found = find(NAME)
    assert found is not None
    assert found.max_episode_steps == 1600


def test_too_many_contacts_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start whose contacts, all the same, leave no room for those that the first steps add."""
    first = rollout.starts(NAME, [0])[0]
    at = bodies.NUM_ROWS + LENGTH
    count = int(first[at])
    integers, floats = np.split(first[at + 1 :], [count * NUM_INTEGERS])
    of_one = np.tile(integers[:NUM_INTEGERS], MOST_CONTACTS), np.tile(floats[:NUM_FLOATS], MOST_CONTACTS)
    full = np.concatenate([first[:at], [MOST_CONTACTS], *of_one])
    monkeypatch.setattr(rollout, "_start_of", lambda found, seed: full)
    with pytest.raises(RunError, match=r"BipedalWalker-v3: .* room for"):
        rollout.episodes([evolved(2, 24, 4, mutations=60)], NAME, [1.0], [0], take_argmax_action=False)
    with pytest.raises(RunError, match=r"BipedalWalker-v3: .* room for"):
        rollout.replay(NAME, 0, np.zeros((60, 4)))


def test_any_position_or_angle_says_that_a_walker_has_moved() -> None:
    """By its last bit, in its own column."""
    before = np.random.default_rng(0).normal(size=bodies.NUM_ROWS * LANES).astype(np.float32)
    assert not has_moved(before, before.copy(), 3)
    for body in range(bodies.NUM_BODIES):
        for row in (bodies.X, bodies.Y, bodies.A):
            after = before.copy()
            place = body * BODY + row + 3
            after[place] = np.nextafter(after[place], np.float32(9))
            assert has_moved(after, before, 3)
            assert not has_moved(after, before, 4)


def test_masses_are_the_wheels() -> None:
    environment = BipedalWalker()
    environment.reset(seed=0)
    for made, body in zip([environment.hull, *environment.legs], bodies.BODIES, strict=True):
        fixture = made.fixtures[0]
        np.testing.assert_array_equal(body.vertices, np.array(fixture.shape.vertices, F))
        assert body.inverse_mass == F(1) / F(made.mass)
        np.testing.assert_array_equal(body.center, np.array(made.localCenter, F))
        # A right-angled box of mass m has the moment m (w^2 + h^2) / 12 about its middle.
    width, height = 8 / 30, 34 / 30
    assert pytest.approx(width * height * (width**2 + height**2) / 12, rel=1e-6) == 1 / bodies.THIGH_INERTIA


def test_sine_and_cosine_are_rounded_once() -> None:
    angles = np.random.default_rng(0).uniform(-3, 3, 2000).astype(F)
    ours = np.array([rotation(angle) for angle in angles])
    expected = np.stack([np.sin(angles.astype(float)), np.cos(angles.astype(float))], axis=1)
    assert np.abs(ours - expected).max() < 6e-8
    np.testing.assert_array_equal(rotation(F(0)), (0, 1))


def rotation(angle: np.float32) -> tuple[float, float]:
    return sine_cosine.py_func(angle)


def test_a_hip_by_hand() -> None:
    """A hull that moves away from its thigh: one iteration of the point alone makes the two points move alike."""
    world = new_world()
    s = world.s
    for body in range(5):
        s[body * BODY + bodies.COS : body * BODY + bodies.COS + LANES] = 1
    s[HULL_AT + bodies.VX : HULL_AT + bodies.VX + LANES] = 1
    prepare_joints(s, WIDTH)
    solve = joint_solver()
    for _ in range(3):
        solve(s)
    hull, thigh = velocity_at(s, HULL_AT, joints.HIP_POINTS[:2]), velocity_at(s, THIGH_AT, joints.HIP_POINTS[2:])
    np.testing.assert_allclose(hull, thigh, atol=1e-5)
    momentum = s[HULL_AT + bodies.VX] / bodies.HULL_MASS + s[THIGH_AT + bodies.VX] / bodies.THIGH_MASS
    assert momentum == pytest.approx(1 / bodies.HULL_MASS, rel=1e-5)


def joint_solver() -> Callable[[npt.NDArray], None]:
    from envs.walker import simulation

    return lambda s: simulation.alone(s, 2, WIDTH)


def velocity_at(s: npt.NDArray, body: int, point: tuple[np.float32, ...]) -> tuple[float, float]:
    """Of a point of a body that is not turned."""
    x, y, w = s[body + bodies.VX], s[body + bodies.VY], s[body + bodies.W]
    return x - w * point[1], y + w * point[0]


def test_an_edge_is_clipped_by_hand() -> None:
    """The edge from (-1, 0) to (3, 1) behind the line x = 1: its second end becomes (1, 1/2)."""
    one = F(1)
    given = F(-1), F(0), F(3), F(1), feature(0, 2, 1, 0), feature(0, 3, 1, 0), 2, 3
    kept, ax, ay, bx, by, key_a, key_b, _, _ = clip(*given, one, F(0), one, 1)
    assert kept
    assert (ax, ay, bx, by) == (-1, 0, 1, 0.5)
    assert key_a == feature(0, 2, 1, 0)
    assert key_b == feature(1, 2, 0, 1)  # the reference's corner 1 against the edge from corner 2
    assert not clip(*given, one, F(0), F(-2), 1)[0]
