"""Which geoms a camera can see at all, so that the others need not be drawn.

In software each triangle costs its transformation even where no pixel comes of it, and of the
scene's a wrist camera sees a third.
"""

from __future__ import annotations

import mujoco
import numpy as np

_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_MARGIN_M = 1e-3  # OpenGL computes in single precision


class ViewCulling:
    """Takes out of a scene the geoms whose bounding box is beside a camera's square image.

    The pixels stay the same, unless geoms outside of the image cast shadows or are reflected.
    """

    def __init__(self, model: mujoco.MjModel, option: mujoco.MjvOption) -> None:
        """model: what is simulated.  option: which groups of geoms are drawn."""
        shown = option.geomgroup[np.clip(model.geom_group, 0, mujoco.mjNGROUP - 1)] != 0
        # A plane has no box: its size says how much of it is drawn, and it may be endless.
        self._geoms = np.flatnonzero(shown & (model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE))
        centres, half_sizes = np.split(model.geom_aabb[self._geoms], 2, axis=1)
        self._corners = centres[:, None] + half_sizes[:, None] * _BOX_CORNERS  # [n, 8, 3]
        self._slopes = np.tan(np.radians(model.cam_fovy) / 2)
        self._geom_count = model.ngeom

    def apply(self, data: mujoco.MjData, camera: int, scene: mujoco.MjvScene) -> None:
        """Take out of a scene, as ``mjv_updateScene`` left it, what a fixed camera cannot see."""
        hidden = self.hidden(data, camera)
        geoms = scene.geoms
        for index in range(scene.ngeom):
            geom = geoms[index]
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and hidden[geom.objid]:
                geom.type = mujoco.mjtGeom.mjGEOM_NONE

    def hidden(self, data: mujoco.MjData, camera: int) -> np.ndarray:
        """Return for each geom of the model whether a fixed camera surely misses it, [ngeom].

        A box is missed if all its corners lie beyond one and the same side of the image.
        """
        rotations = data.geom_xmat[self._geoms].reshape(-1, 3, 3)
        corners = self._corners @ rotations.transpose(0, 2, 1) + data.geom_xpos[self._geoms, None]
        # The camera looks along -z, x is right and y is up in its image.
        seen = (corners - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
        across, reach = seen[..., :2], _MARGIN_M - seen[..., 2:] * self._slopes[camera]
        beyond = np.stack([across > reach, -across > reach])  # [2, n, 8, 2]
        hidden = np.zeros(self._geom_count, dtype=bool)
        hidden[self._geoms] = np.any(np.all(beyond, axis=2), axis=(0, 2))
        return hidden
