"""Camera images of a scene, rendered only when asked for."""

from __future__ import annotations

import mujoco
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation import graphics
from smoothvla_ros.simulation.mesh_clustering import cluster_drawn_meshes
from smoothvla_ros.simulation.rendering import CAMERAS, RenderSettings

_HIDDEN_GEOM_GROUP = 0  # collision geometry, in robosuite's models
_MAXIMUM_SCENE_GEOMS = 10_000


class SceneRenderer:
    """Draws the states of one scene with this process's OpenGL context.

    The model that is drawn (textures, meshes) is compiled apart from the model that is simulated,
    uploaded and freed, so that profile `fast` cannot touch the physics.
    """

    def __init__(self, scene_xml: str, simulated: mujoco.MjModel, settings: RenderSettings) -> None:
        """scene_xml: with textures, otherwise the same as the simulated model's.

        Takes a second or two.  Raises UserError if this machine cannot render.
        """
        self._model = simulated
        self._settings = settings
        self._context = graphics.shared_context()
        self._resources: mujoco.MjrContext | None = self._upload(scene_xml)
        self._scene = mujoco.MjvScene(simulated, _MAXIMUM_SCENE_GEOMS)
        if settings.profile == 'fast':
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                self._scene.flags[flag] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[_HIDDEN_GEOM_GROUP] = 0
        self._viewport = mujoco.MjrRect(0, 0, settings.size, settings.size)
        self._cameras = {name: self._camera(libero_name) for name, libero_name in CAMERAS.items()}

    def render(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Return uint8 [size, size, 3], RGB, upright.  Raises UserError for an unknown camera."""
        if camera not in self._cameras:
            raise UserError(f'camera {camera!r} is unknown; choose from {", ".join(CAMERAS)}')
        if self._resources is None:
            raise RuntimeError('render was called after close')
        self._context.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._options,
            None,
            self._cameras[camera],
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._viewport, self._scene, self._resources)
        image = np.empty((self._settings.size, self._settings.size, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._viewport, self._resources)
        return image[::-1].copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free what this renderer holds in the OpenGL context."""
        if self._resources is not None:
            self._context.make_current()
            self._resources.free()
            self._resources = None

    def _upload(self, scene_xml: str) -> mujoco.MjrContext:
        drawn = mujoco.MjModel.from_xml_string(scene_xml)
        mujoco.mj_clearCache(mujoco.mj_getCache())
        buffer = drawn.vis.global_
        buffer.offwidth = max(buffer.offwidth, self._settings.size)
        buffer.offheight = max(buffer.offheight, self._settings.size)
        if self._settings.profile == 'fast':
            drawn.vis.quality.offsamples = 0
            cluster_drawn_meshes(drawn)
        self._context.make_current()
        resources = mujoco.MjrContext(drawn, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, resources)
        return resources

    def _camera(self, libero_name: str) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, libero_name)
        return camera
