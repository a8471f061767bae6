"""Camera images of a scene, rendered only when asked for."""

from __future__ import annotations

import mujoco
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CAMERAS, FAST
from smoothvla_ros.simulation.rendering import graphics
from smoothvla_ros.simulation.rendering.mesh_clustering import cluster_drawn_meshes
from smoothvla_ros.simulation.rendering.settings import MODEL_CAMERAS, RenderSettings
from smoothvla_ros.simulation.rendering.texture_files import with_reduced_textures
from smoothvla_ros.simulation.rendering.view_culling import ViewCulling

_HIDDEN_GEOM_GROUP = 0  # collision geometry, in robosuite's models
_MAXIMUM_SCENE_GEOMS = 10_000
# No object fills an image, so texels beyond this many an image's pixel are never seen.
_TEXELS_PER_PIXEL = 4


class SceneRenderer:
    """Draws the states of one scene with this process's OpenGL context.

    The model that is drawn is not the one that is simulated, so that profile `fast` cannot touch
    the physics; once uploaded it is not needed any more.
    """

    def __init__(self, scene_xml: str, simulated: mujoco.MjModel, settings: RenderSettings) -> None:
        """Compile and upload meshes and textures, which takes a second or two.

        scene_xml: what `simulated` was compiled from, with textures.
        Raises UserError if this machine cannot render.
        """
        self._model = simulated
        self._settings = settings
        self._context = graphics.shared_context()
        with graphics.named_failure('preparing to draw a scene'):
            self._context.make_current()
        drawn = _drawn_model(scene_xml, settings)
        try:
            self._resources = mujoco.MjrContext(drawn, mujoco.mjtFontScale.mjFONTSCALE_100)
        except mujoco.FatalError as error:
            raise graphics.cannot_render(error) from error
        self._scene = mujoco.MjvScene(simulated, _MAXIMUM_SCENE_GEOMS)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[_HIDDEN_GEOM_GROUP] = 0
        self._culling: ViewCulling | None = None
        if settings.profile == FAST:
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                self._scene.flags[flag] = 0
            self._culling = ViewCulling(simulated, self._options)
        self._viewport = mujoco.MjrRect(0, 0, settings.size, settings.size)
        self._cameras = {
            name: self._camera(libero_name) for name, libero_name in MODEL_CAMERAS.items()
        }

    def render(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Return uint8 [size, size, 3], RGB, upright.

        Raises UserError for an unknown camera, and where OpenGL fails.
        """
        if camera not in self._cameras:
            raise UserError(f'camera {camera!r} is unknown; choose from {", ".join(CAMERAS)}')
        with graphics.named_failure(f'drawing camera {camera!r}'):
            return self._drawn(data, self._cameras[camera])

    def _drawn(self, data: mujoco.MjData, camera: mujoco.MjvCamera) -> np.ndarray:
        self._context.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._options,
            None,
            camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        if self._culling is not None:
            self._culling.apply(data, camera.fixedcamid, self._scene)
        # Another renderer's frame buffer may be bound, or none since that renderer is gone.
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._resources)
        mujoco.mjr_render(self._viewport, self._scene, self._resources)
        image = np.empty((self._settings.size, self._settings.size, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._viewport, self._resources)
        return image[::-1].copy()  # OpenGL's first row is the lowest

    def _camera(self, libero_name: str) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, libero_name)
        return camera


def _drawn_model(scene_xml: str, settings: RenderSettings) -> mujoco.MjModel:
    """Compile what is drawn; in profile `fast` without what costs time or memory."""
    assets: dict[str, bytes] = {}
    fast = settings.profile == FAST
    if fast:
        scene_xml, assets = with_reduced_textures(scene_xml, _TEXELS_PER_PIXEL * settings.size)
    drawn = mujoco.MjModel.from_xml_string(scene_xml, assets)
    buffer = drawn.vis.global_
    buffer.offwidth = max(buffer.offwidth, settings.size)
    buffer.offheight = max(buffer.offheight, settings.size)
    if fast:
        drawn.vis.quality.offsamples = 0
        drawn.vis.quality.shadowsize = 0  # the shadow map alone would be 64 MB
        cluster_drawn_meshes(drawn)
    return drawn
