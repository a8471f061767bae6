"""The twin's cameras: a thread of their own draws copies of the state, so that the arm never waits.

OpenGL belongs to that thread; the physics runs on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import mujoco
import numpy as np

from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin
from smoothvla_ros.simulation.workers.memory import release_free_memory

Images = dict[str, np.ndarray]


class TwinCameras:
    """Draws at most one state at a time and hands the images on; belongs to one thread.

    What goes wrong while a state is drawn is raised by the next `offer`.
    """

    def __init__(self, deliver: Callable[[int, Images], None]) -> None:
        """deliver: gets the stamp of the state in ns, and uint8 [size, size, 3] a camera."""
        self._deliver = deliver
        self._environment: Environment | None = None
        self._data: mujoco.MjData | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='cameras')
        self._drawing: Future[None] | None = None

    def prepare(self, environment: Environment) -> None:
        """Do now what a scene's first image would wait for.

        Raises UserError if this machine cannot render.
        """
        if environment is self._environment:
            return
        self._finish()
        self._thread.submit(environment.prepare_rendering).result()
        old, self._environment = self._environment, environment
        self._data = mujoco.MjData(environment.model)
        if old is not None:
            old.close()
            del old
            # In the thread that OpenGL belongs to, or what the old scene drew with is lost.
            self._thread.submit(release_free_memory).result()

    def offer(self, stamp_ns: int, twin: ArmTwin, *, wait: bool) -> bool:
        """Draw the twin's state of now; return False where the former one is not done yet.

        wait: until it is.  Raises UserError where drawing has failed.
        """
        if self._drawing is not None and not (wait or self._drawing.done()):
            return False
        self._finish()
        assert self._environment is not None
        assert self._data is not None
        twin.snapshot(self._data)
        self._drawing = self._thread.submit(self._draw, stamp_ns, self._environment, self._data)
        return True

    def close(self) -> None:
        """End the thread after the image that it is at."""
        self._thread.shutdown()

    def _finish(self) -> None:
        """Wait for the state that is being drawn; raise what went wrong with it."""
        drawing, self._drawing = self._drawing, None
        if drawing is not None:
            drawing.result()

    def _draw(self, stamp_ns: int, environment: Environment, data: mujoco.MjData) -> None:
        cameras = environment.render_settings.cameras
        self._deliver(stamp_ns, {name: environment.draw(data, name) for name in cameras})
