"""The twin's cameras: a thread of their own draws copies of the state, so that the arm never waits.

OpenGL belongs to that thread; the physics runs on meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import mujoco
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin

Images = dict[str, np.ndarray]


class TwinCameras:
    """Draws at most one state at a time and hands the images on.

    The thread begins with the object and ends with `close`.
    """

    def __init__(self, deliver: Callable[[int, Images], None]) -> None:
        """deliver: gets the stamp of the state in ns, and uint8 [size, size, 3] a camera."""
        self._deliver = deliver
        self._changed = threading.Condition()
        self._environment: Environment | None = None
        self._data: mujoco.MjData | None = None
        self._stamp_ns: int | None = None
        self._unprepared = False
        self._closing = False
        self._error: UserError | None = None
        self._thread = threading.Thread(target=self._draw, name='cameras', daemon=True)
        self._thread.start()

    def prepare(self, environment: Environment) -> None:
        """Do now what a scene's first image would wait for.

        Raises UserError if this machine cannot render.
        """
        with self._changed:
            if environment is self._environment:
                return
            self._changed.wait_for(self._idle)
            self._environment = environment
            self._data = mujoco.MjData(environment.model)
            self._unprepared = True
            self._changed.notify_all()
            self._changed.wait_for(self._idle)
            if self._error is not None:
                raise self._error

    def offer(self, stamp_ns: int, twin: ArmTwin, *, wait: bool) -> bool:
        """Draw the twin's state of now; return False where the former one is not done yet.

        wait: until it is.  Raises UserError where drawing has failed.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(self._idle)
            if self._error is not None:
                raise self._error
            if not self._idle() or self._closing:
                return False
            assert self._data is not None
            twin.snapshot(self._data)
            self._stamp_ns = stamp_ns
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End the thread after the image that it is at."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _idle(self) -> bool:
        at_work = self._stamp_ns is not None or self._unprepared
        return not at_work or self._closing or self._error is not None

    def _draw(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._unprepared or self._stamp_ns is not None
                )
                if self._closing:
                    return
                environment, data, stamp = self._environment, self._data, self._stamp_ns
            assert environment is not None
            assert data is not None
            error = None
            try:
                if stamp is None:
                    environment.prepare_rendering()
                else:
                    cameras = environment.render_settings.cameras
                    self._deliver(stamp, {name: environment.draw(data, name) for name in cameras})
            except UserError as caught:
                error = caught
            with self._changed:
                self._error = error
                self._stamp_ns, self._unprepared = None, False
                self._changed.notify_all()
                if error is not None:
                    return
