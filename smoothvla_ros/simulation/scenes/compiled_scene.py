"""A compiled scene: the model that is simulated, and the one that is drawn."""

from __future__ import annotations

import hashlib
import weakref
from xml.etree import ElementTree

import mujoco
import numpy as np

from smoothvla_ros.simulation.rendering.scene_renderer import SceneRenderer
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.memory import bound_asset_cache

# What episodes change in a compiled model: fixtures are placed, indicator sites are switched.
_CHANGED_MODEL_ARRAYS = ('body_pos', 'body_quat', 'site_rgba')


class CompiledScene:
    """A scene as MuJoCo compiled it, without textures, and its renderers.

    Textures take two thirds of the memory and none of the physics, so they are only compiled,
    uploaded and freed when a first image is asked for.
    """

    def __init__(self, scene_xml: str) -> None:
        """Compile a scene.  scene_xml: MJCF, file names absolute."""
        self._scene_xml = scene_xml
        bound_asset_cache()
        self.model = mujoco.MjModel.from_xml_string(_without_textures(scene_xml))
        self._compiled = self.episode_arrays()
        self._renderers: dict[RenderSettings, SceneRenderer] = {}

    def restore(self) -> None:
        """Undo what episodes changed in the model."""
        self.set_episode_arrays(self._compiled)

    def episode_arrays(self) -> dict[str, np.ndarray]:
        """Return a copy of the arrays of the model that episodes change."""
        return {name: getattr(self.model, name).copy() for name in _CHANGED_MODEL_ARRAYS}

    def set_episode_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Give the model what `episode_arrays` returned."""
        for name, value in arrays.items():
            getattr(self.model, name)[:] = value

    def renderer(self, settings: RenderSettings) -> SceneRenderer:
        """Return what draws this scene; the first call takes a second or two.

        Raises UserError if this machine cannot render.
        """
        if settings not in self._renderers:
            self._renderers[settings] = SceneRenderer(self._scene_xml, self.model, settings)
        return self._renderers[settings]


class SceneLibrary:
    """Compiled scenes by content, so that the tasks that share a scene share its memory.

    All tasks of libero_spatial have one scene, as have those of libero_goal.  Environments that
    share a scene must take turns: resetting one places the fixtures of all.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._scenes: weakref.WeakValueDictionary[bytes, CompiledScene] = (
            weakref.WeakValueDictionary()
        )

    def get(self, scene_xml: str) -> CompiledScene:
        """Return the compiled scene; it lives as long as somebody else holds it."""
        key = hashlib.sha256(scene_xml.encode()).digest()
        scene = self._scenes.get(key)
        if scene is None:
            scene = self._scenes[key] = CompiledScene(scene_xml)
        return scene


def _without_textures(scene_xml: str) -> str:
    """Return the scene with every texture file replaced by one pixel of the same name and type."""
    root = ElementTree.fromstring(scene_xml)
    for texture in root.iter('texture'):
        if not any(attribute.startswith('file') for attribute in texture.attrib):
            continue
        pixel = {'builtin': 'flat', 'width': '1', 'height': '1', 'rgb1': '1 1 1', 'rgb2': '1 1 1'}
        for key in ('name', 'type'):
            if key in texture.attrib:
                pixel[key] = texture.attrib[key]
        texture.attrib.clear()
        texture.attrib.update(pixel)
    return ElementTree.tostring(root, encoding='unicode')
