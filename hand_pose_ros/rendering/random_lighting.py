"""Random light: one to three lights from windows and lamps of any colour temperature, and the room's own light."""

from __future__ import annotations

import math

import numpy as np

from hand_pose_ros.rendering.lighting import Light, Lighting

# Linear RGB of a black body, relative to green, from candle light over daylight to a blue sky.
_TEMPERATURES = np.array(((2000, 2.6, 0.22), (2700, 1.95, 0.42), (4000, 1.35, 0.72), (5500, 1.08, 0.95),
                          (6500, 1.0, 1.05), (9000, 0.84, 1.32), (12000, 0.77, 1.5)))  # fmt: skip
_LOG_KELVIN, _RED, _BLUE = np.log(_TEMPERATURES[:, 0]), _TEMPERATURES[:, 1], _TEMPERATURES[:, 2]
_BALANCE = 0.55  # the camera's white balance takes this share of a colour away
_EXPOSURE_SPREAD = 0.42  # standard deviation of the exposure's logarithm
_KEY = (0.75, 1.75)


def random_lighting(generator: np.random.Generator) -> Lighting:
    """Lights in a camera's frame (y down), mostly from above and from the camera's side, in linear light."""
    kelvin = 10 ** generator.uniform(np.log10(2300), np.log10(10000))
    lights = []
    strength = generator.uniform(*_KEY)
    for number in range(1 + generator.integers(3)):
        if number:
            strength *= generator.uniform(0.15, 0.7)
            kelvin = kelvin if generator.random() < 0.5 else generator.uniform(2300, 9000)
        direction = generator.normal(size=3) + (0, -0.8, -0.7)
        rgb = strength * light_rgb(kelvin)
        lights.append(Light(tuple(direction), tuple(rgb), float(generator.uniform(0.03, 0.4))))
    ambient = generator.uniform(0.15, 0.75)
    sky = ambient * light_rgb(generator.uniform(3500, 11000))
    ground = sky * generator.uniform(0.3, 1.0) * (1 + generator.uniform(-0.2, 0.2, 3))
    exposure = 0.62 * np.exp(_EXPOSURE_SPREAD * generator.normal())
    return Lighting(tuple(lights), tuple(sky), tuple(ground), float(exposure))


def light_rgb(kelvin: float) -> np.ndarray:
    """(3,) linear RGB of a light as a camera with imperfect white balance sees it."""
    place = math.log(kelvin)
    red, blue = (float(np.interp(place, _LOG_KELVIN, values)) ** (1 - _BALANCE) for values in (_RED, _BLUE))
    return np.array((red, 1.0, blue)) * (3 / (red + 1 + blue))
