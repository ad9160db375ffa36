"""CartPoleSwingUp: a pole hangs from a cart; it is to be swung up and kept upright with the cart near the centre.

The task of the WANN paper (Gaier and Ha, 2019); the equations of motion are those of the cart-pole of PILCO
(Deisenroth and Rasmussen, 2011). Lengths in metres, masses in kilograms, angles in radians, time in seconds.
"""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Array = npt.NDArray[np.float64]

GRAVITY = 9.82
CART_MASS = 0.5
POLE_MASS = 0.5
POLE_LENGTH = 0.6
FRICTION = 0.1  # of the cart, newton per (m/s)
FORCE = 10.0  # newton per unit action
TIME_STEP = 0.01
TRACK_LIMIT = 2.4
MAX_EPISODE_STEPS = 1000

START_MEAN = (0.0, 0.0, math.pi, 0.0)  # the pole hangs
START_STD = 0.2  # of each state variable


def accelerations(state: Sequence[float] | Array, force: float) -> tuple[float, float]:
    """Acceleration of the cart and angular acceleration of the pole for a force on the cart."""
    _, velocity, angle, angular_velocity = state
    m, total, length = POLE_MASS, CART_MASS + POLE_MASS, POLE_LENGTH
    s, c = math.sin(angle), math.cos(angle)
    centrifugal = m * length * angular_velocity**2 * s
    push = force - FRICTION * velocity
    cart = (-2 * centrifugal + 3 * m * GRAVITY * s * c + 4 * push) / (4 * total - 3 * m * c**2)
    pole = (-3 * centrifugal * c + 6 * total * GRAVITY * s + 6 * push * c) / (length * (4 * total - 3 * m * c**2))
    return cart, pole


def step(state: Sequence[float] | Array, action: float) -> tuple[tuple[float, float, float, float], float, bool]:
    """One Euler step: the next state, its reward, and whether the cart has left the track.

    `state` is (position, velocity, angle, angular velocity), the angle measured from upright; `action` is clipped to
    [-1, 1]. Position and angle advance with the old velocities.
    """
    position, velocity, angle, angular_velocity = state
    cart, pole = accelerations(state, FORCE * min(max(action, -1.0), 1.0))
    position, velocity = position + TIME_STEP * velocity, velocity + TIME_STEP * cart
    angle, angular_velocity = angle + TIME_STEP * angular_velocity, angular_velocity + TIME_STEP * pole
    reward = (math.cos(angle) + 1) / 2 * math.cos(position / TRACK_LIMIT * (math.pi / 2))
    return (position, velocity, angle, angular_velocity), reward, abs(position) > TRACK_LIMIT


def observe(state: Sequence[float] | Array) -> Array:
    """What the network sees: x, x', cos theta, sin theta, theta'; shape (5,)."""
    position, velocity, angle, angular_velocity = state
    return np.array([position, velocity, math.cos(angle), math.sin(angle), angular_velocity])


class CartPoleSwingUp(gymnasium.Env[Array, npt.NDArray]):
    """The Gymnasium environment. Its time limit of 1000 steps comes with its registration (see `envs/__init__.py`).

    Observations and actions are float64, as the state is: what the network does is then exactly what the equations say.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": round(1 / TIME_STEP)}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        high = np.array([2 * TRACK_LIMIT, np.inf, 1.0, 1.0, np.inf])  # the last observation may lie beyond the track
        self.observation_space = spaces.Box(-high, high, dtype=np.float64)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)
        self.render_mode = render_mode
        self.state: Array | None = None
        self._screen: Any = None
        self._clock: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self.np_random.normal(START_MEAN, START_STD)
        if self.render_mode == "human":
            self.render()
        return observe(self.state), {}

    def step(self, action: npt.NDArray) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self.state is None:
            raise gymnasium.error.ResetNeeded("reset must be called before step")
        state, reward, terminated = step(self.state, float(np.asarray(action).item()))
        self.state = np.array(state)
        if self.render_mode == "human":
            self.render()
        return observe(self.state), reward, terminated, False, {}

    def render(self) -> npt.NDArray[np.uint8] | None:
        """The frame (height, width, 3) in mode `rgb_array`; in mode `human` the window is brought up to date."""
        if self.render_mode is None:
            name = self.spec.id if self.spec else "CartPoleSwingUp"
            gymnasium.logger.warn(f'render needs a mode: gymnasium.make("{name}", render_mode="rgb_array")')
            return None
        if self.state is None:
            raise gymnasium.error.ResetNeeded("reset must be called before render")
        pygame = _pygame()
        frame = draw(self.state)
        if self.render_mode == "rgb_array":
            return np.transpose(pygame.surfarray.array3d(frame), (1, 0, 2))
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption("CartPoleSwingUp")
            self._screen = pygame.display.set_mode(frame.get_size())
            self._clock = pygame.time.Clock()
        self._screen.blit(frame, (0, 0))
        pygame.event.pump()
        self._clock.tick(self.metadata["render_fps"])
        pygame.display.flip()
        return None

    def close(self) -> None:
        if self._screen is not None:
            _pygame().display.quit()
            self._screen = None


# ---- drawing ----------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 640, 320  # pixels
SMOOTHING = 3  # drawn so much larger, then scaled down: smooth edges everywhere
SCALE = WIDTH / (2 * TRACK_LIMIT + 0.8) * SMOOTHING  # pixels of the large drawing per metre
TRACK_HEIGHT = 0.55 * HEIGHT * SMOOTHING
CART_WIDTH, CART_HEIGHT, WHEEL_RADIUS, POLE_WIDTH = 0.44, 0.2, 0.065, 0.07

WHITE, TRACK, CART, WHEEL = (255, 255, 255), (130, 136, 146), (46, 58, 79), (24, 28, 38)
POLE, HUB, LIMIT, GRID = (202, 110, 62), (240, 214, 170), (176, 58, 58), (232, 235, 240)


def _pygame() -> Any:
    try:
        import pygame
    except ImportError as error:
        raise gymnasium.error.DependencyNotInstalled("rendering needs pygame: pip install pygame-ce") from error
    return pygame


def draw(state: Sequence[float] | Array) -> Any:
    """A pygame surface of 640 x 320 pixels: the cart on its track between the two limits, the pole to scale."""
    pygame = _pygame()
    surface = pygame.Surface((WIDTH * SMOOTHING, HEIGHT * SMOOTHING))
    surface.fill(WHITE)
    position, _, angle, _ = state
    centre = WIDTH * SMOOTHING / 2

    def box(x: float, y: float, width: float, height: float, colour: tuple[int, int, int], radius: float = 0) -> None:
        rectangle = pygame.Rect(round(x), round(y), round(width), round(height))
        pygame.draw.rect(surface, colour, rectangle, border_radius=round(radius))

    for metre in (-2, -1, 0, 1, 2):
        box(centre + metre * SCALE - SMOOTHING / 2, 0, SMOOTHING, HEIGHT * SMOOTHING, GRID)
    rail = TRACK_HEIGHT + (CART_HEIGHT / 2 + WHEEL_RADIUS) * SCALE  # the pole turns about the cart's middle
    box(0, rail, WIDTH * SMOOTHING, 0.03 * SCALE, TRACK)
    for side in (-1, 1):
        post = centre + side * TRACK_LIMIT * SCALE
        box(post - 0.02 * SCALE, rail - 0.3 * SCALE, 0.04 * SCALE, 0.33 * SCALE, LIMIT)

    x, y = centre + position * SCALE, TRACK_HEIGHT
    for side in (-1, 1):
        wheel = (x + side * 0.3 * CART_WIDTH * SCALE, rail - WHEEL_RADIUS * SCALE)
        pygame.draw.circle(surface, WHEEL, wheel, WHEEL_RADIUS * SCALE)
        pygame.draw.circle(surface, TRACK, wheel, WHEEL_RADIUS * SCALE * 0.4)
    box(
        x - CART_WIDTH / 2 * SCALE, y - CART_HEIGHT / 2 * SCALE, CART_WIDTH * SCALE, CART_HEIGHT * SCALE,
        CART, 0.05 * SCALE,
    )  # fmt: skip

    along = pygame.math.Vector2(math.sin(angle), -math.cos(angle))
    across = pygame.math.Vector2(math.cos(angle), math.sin(angle))
    half = across * (POLE_WIDTH / 2 * SCALE)
    pivot = pygame.math.Vector2(x, y)
    tip = pivot + along * (POLE_LENGTH * SCALE)
    pygame.draw.polygon(surface, POLE, [pivot + half, tip + half, tip - half, pivot - half])
    for end in (pivot, tip):
        pygame.draw.circle(surface, POLE, end, POLE_WIDTH / 2 * SCALE)
    pygame.draw.circle(surface, HUB, pivot, 0.024 * SCALE)
    return pygame.transform.smoothscale(surface, (WIDTH, HEIGHT))
