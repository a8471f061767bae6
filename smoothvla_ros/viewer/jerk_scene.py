"""What jerk looks like in space: colours, sizes and a trail that does not grow."""

from __future__ import annotations

from collections import deque

import numpy as np

# Nine points of viridis: even to the eye, in the same order in grey and to the colour-blind.
_COLOURS = np.array(
    [
        [0.267, 0.005, 0.329],
        [0.283, 0.141, 0.458],
        [0.254, 0.265, 0.530],
        [0.207, 0.372, 0.553],
        [0.164, 0.471, 0.558],
        [0.128, 0.567, 0.551],
        [0.135, 0.659, 0.518],
        [0.478, 0.821, 0.318],
        [0.993, 0.906, 0.144],
    ]
)
# From calm to over the limit, apart in lightness as well as in hue.
_CALM, _ALARMING = np.array([0.62, 0.76, 0.88]), np.array([0.75, 0.10, 0.05])
_SMALLEST_M, _LARGEST_M = 0.04, 0.14


def jerk_colours(jerk: np.ndarray, full_scale: float) -> np.ndarray:
    """Return [N, 3] red, green, blue in [0, 1] of jerks [N] in m/s^3; `full_scale` is brightest."""
    place = np.clip(np.asarray(jerk) / full_scale, 0.0, 1.0)
    anchors = np.linspace(0.0, 1.0, len(_COLOURS))
    return np.stack([np.interp(place, anchors, channel) for channel in _COLOURS.T], axis=1)


def joint_colour(share: float) -> np.ndarray:
    """Return [3] of a joint at this share of its limit: pale blue at rest, red at the limit."""
    place = float(np.clip(share, 0.0, 1.0))
    return (1.0 - place) * _CALM + place * _ALARMING


def joint_diameter(share: float) -> float:
    """Return the diameter in m of the sphere of a joint at this share of its limit."""
    place = float(np.clip(share, 0.0, 1.0))
    return _SMALLEST_M + place * (_LARGEST_M - _SMALLEST_M)


class JerkTrail:
    """The newest places of the tool with the jerk there, at least a step apart."""

    def __init__(self, most: int = 500, step_m: float = 0.003) -> None:
        """Take how many places are kept, and how far apart."""
        self.most = most
        self._places: deque[np.ndarray] = deque(maxlen=most)
        self._jerks: deque[float] = deque(maxlen=most)
        self._step_m = step_m

    def clear(self) -> None:
        """Forget the path, as when an episode begins."""
        self._places.clear()
        self._jerks.clear()

    def add(self, place: np.ndarray, jerk: float) -> bool:
        """Take a place [3] m and the jerk there, m/s^3; return whether it is a new one.

        A place near the last is that one, with the greater jerk of both.
        """
        if self._places and np.linalg.norm(place - self._places[-1]) < self._step_m:
            self._jerks[-1] = max(self._jerks[-1], jerk)
            return False
        self._places.append(np.array(place))
        self._jerks.append(jerk)
        return True

    @property
    def newest_jerk(self) -> float:
        """At the newest place, m/s^3.  Raises IndexError where there is none."""
        return self._jerks[-1]

    @property
    def places(self) -> np.ndarray:
        """[P, 3] m."""
        return np.array(self._places).reshape(-1, 3)

    @property
    def jerks(self) -> np.ndarray:
        """[P] m/s^3."""
        return np.array(self._jerks)
