"""A camera's own thread: frames at their rate, and a lost camera reached again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.cameras.processing import processed
from smoothvla_ros.cameras.settings import CameraSettings
from smoothvla_ros.cameras.sources import FrameSource, open_source
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECOND_S, NANOSECONDS

_RATE_WINDOW = 30
# A frame that is early by so much of a period is still on time, and so are all of a device whose
# period is shorter by so much.
_EARLY = 0.25
_QUICKER = 0.1


@dataclass(frozen=True)
class CaptureStatus:
    """How a camera does.

    rate_hz: measured over the last frames, NaN before there are two.  age_s: of the newest frame,
    infinite before the first.  problem: why there are no frames; empty while there are.
    """

    rate_hz: float
    age_s: float
    frames: int
    reconnections: int
    problem: str


class Capture:
    """Reads a source in a thread of its own and hands every image on."""

    def __init__(
        self,
        settings: CameraSettings,
        deliver: Callable[[np.ndarray, int], None],
        open_frames: Callable[[CameraSettings], FrameSource] = open_source,
    ) -> None:
        """Open the source.  Raises UserError where it is not there: that is a wrong setting.

        deliver: gets uint8 [height, width, 3] RGB and its stamp in ns, in the capture's thread.
        """
        self._settings = settings
        self._deliver = deliver
        self._open = open_frames
        self._source: FrameSource | None = open_frames(settings)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stamps: deque[int] = deque(maxlen=_RATE_WINDOW)
        self._due_ns = 0
        self._frames = self._reconnections = 0
        self._problem = ''
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver what is taken from now on."""
        self._stopping.clear()
        if self._source is not None:
            self._source.begin()
        self._thread = threading.Thread(target=self._run, name='capture', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Deliver nothing more, from before this returns; `start` begins again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop and let go of the source."""
        self.stop()
        self._let_go()

    def status(self) -> CaptureStatus:
        """Return how the camera does now."""
        with self._lock:
            stamps = list(self._stamps)
            span_ns = stamps[-1] - stamps[0] if len(stamps) > 1 else 0
            rate = (len(stamps) - 1) / (span_ns * NANOSECOND_S) if span_ns > 0 else float('nan')
            age = (time.time_ns() - stamps[-1]) * NANOSECOND_S if stamps else float('inf')
            return CaptureStatus(rate, age, self._frames, self._reconnections, self._problem)

    def _run(self) -> None:
        period_ns = round(NANOSECONDS / self._settings.rate_hz)
        due = time.monotonic_ns()
        while not self._stopping.is_set():
            source = self._source
            if source is None:
                if not self._reconnect():
                    return
                continue
            if not source.paced:
                # From when the frame was due, not from when it came: no drift.
                due = max(due + period_ns, time.monotonic_ns() - period_ns)
                if self._stopping.wait(max(0, due - time.monotonic_ns()) * NANOSECOND_S):
                    return
            try:
                frame = source.read()
            except UserError as error:
                self._lose(str(error))
                continue
            if frame is None:
                with self._lock:
                    self._problem = 'the recording is over'
                return
            self._take(*frame, period_ns)

    def _take(self, image: np.ndarray, stamp_ns: int, period_ns: int) -> None:
        paced = self._source is not None and self._source.paced
        with self._lock:
            if self._stamps and stamp_ns < self._stamps[-1]:
                # The clock was set back: until it had caught up, every frame would seem too early.
                self._stamps.clear()
            # Some devices ignore the rate that they are asked for.
            if paced and not self._is_due(stamp_ns, period_ns):
                return
            self._stamps.append(stamp_ns)
            self._frames += 1
            self._problem = ''
        self._deliver(processed(image, self._settings), stamp_ns)

    def _is_due(self, stamp_ns: int, period_ns: int) -> bool:
        """Return whether to hand a frame on: the first one after each period, whatever their rate.

        A device that is a little too quick keeps all of its frames: to hold it to the rate would
        leave one out now and then.
        """
        if not self._stamps:
            self._due_ns = stamp_ns
        elif (
            stamp_ns - self._stamps[-1] < (1.0 - _QUICKER) * period_ns
            and self._due_ns - stamp_ns > _EARLY * period_ns
        ):
            return False
        # From when it was due, not from when it came: frames of a rate that does not divide would
        # be left out for ever. Anew after a pause, whose frames are not to be made up for.
        is_on_time = abs(stamp_ns - self._due_ns) < period_ns
        self._due_ns = (self._due_ns if is_on_time else stamp_ns) + period_ns
        return True

    def _lose(self, reason: str) -> None:
        self._let_go()
        with self._lock:
            self._problem = reason
            self._stamps.clear()

    def _reconnect(self) -> bool:
        """Try once more after a while; return False where the capture is to stop."""
        if self._stopping.wait(self._settings.reconnect_s):
            return False
        try:
            self._source = self._open(self._settings)
        except UserError as error:
            with self._lock:
                self._problem = str(error)
            return True
        with self._lock:
            self._reconnections += 1
        return True

    def _let_go(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
