"""The surfaces of what stands in a scene, as points in the robot base frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mujoco
import numpy as np

# Surfaces without vertices of their own (boxes, cylinders) are sampled this densely, in metres.
SAMPLE_PITCH = 0.01
MESH_POINTS = 600


class BodyGeometry:
    """The surface points of one body and all bodies below it, in each body's own frame."""

    def __init__(self, model: mujoco.MjModel, root: int):
        self.root = root
        self.bodies = body_subtree(model, root)
        self.geoms = frozenset(
            int(g) for g in np.flatnonzero(np.isin(model.geom_bodyid, self.bodies))
        )
        self._parts = [
            (body, np.concatenate(points))
            for body in self.bodies
            if (points := [_geom_points(model, g) for g in _geoms_of(model, body)])
        ]

    def points(self, data: mujoco.MjData) -> np.ndarray:
        """Return the surface points now, [n, 3] m, world frame."""
        return np.concatenate(
            [
                points @ data.xmat[body].reshape(3, 3).T + data.xpos[body]
                for body, points in self._parts
            ]
        )


def body_subtree(model: mujoco.MjModel, root: int) -> list[int]:
    """Return `root` and every body below it; MuJoCo numbers a child after its parent."""
    members = {root}
    for body in range(root + 1, model.nbody):
        if int(model.body_parentid[body]) in members:
            members.add(body)
    return sorted(members)


def find_body(model: mujoco.MjModel, name: str) -> int:
    """Return the id of an object's body, which LIBERO calls ``name`` or ``name_main``."""
    for candidate in (name, f'{name}_main'):
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, candidate)
        if body >= 0:
            return int(body)
    raise KeyError(f'no body named {name!r} in the model')


def _geoms_of(model: mujoco.MjModel, body: int) -> Iterable[int]:
    start = int(model.body_geomadr[body])
    return range(start, start + int(model.body_geomnum[body])) if start >= 0 else ()


def _geom_points(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Sample the surface of one geom, [n, 3] m, in the frame of its body."""
    kind = int(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        points = np.asarray(model.mesh_vert[start : start + count], dtype=float)
        points = _thin(points)
    else:
        size = model.geom_size[geom]
        radius, half_length = float(size[0]), float(size[1])
        half = {
            mujoco.mjtGeom.mjGEOM_BOX: size,
            mujoco.mjtGeom.mjGEOM_SPHERE: (radius, radius, radius),
            mujoco.mjtGeom.mjGEOM_CAPSULE: (radius, radius, half_length + radius),
        }.get(mujoco.mjtGeom(kind), (radius, radius, half_length))
        points = _box_surface([float(value) for value in half])
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    return points @ rotation.reshape(3, 3).T + model.geom_pos[geom]


def _thin(points: np.ndarray) -> np.ndarray:
    """Keep an even share of a large mesh, and always its extreme points."""
    step = max(1, len(points) // MESH_POINTS)
    extremes = points[np.r_[points.argmin(axis=0), points.argmax(axis=0)]]
    return np.concatenate([points[::step], extremes])


def _box_surface(half: Sequence[float]) -> np.ndarray:
    axes = [np.linspace(-h, h, max(2, int(np.ceil(2 * h / SAMPLE_PITCH)) + 1)) for h in half]
    grid = np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)
    on_surface = np.any(np.isclose(np.abs(grid), np.asarray(half)), axis=1)
    return grid[on_surface]


def distance_to_box(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Signed distance of each point [n, 3] to an axis-aligned box, negative inside, in m."""
    beyond = np.maximum(low - points, points - high)
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    return outside + np.minimum(beyond.max(axis=1), 0.0)
