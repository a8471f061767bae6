"""Who stands beside a simulated arm: arms the guard for a scene, disarms it when the scene is over.

On a real arm a person does that. Here nobody has to, and an arm that has done its task rests
instead of going on until something stops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smoothvla_ros.control.episode_keeper import DISCARD, FAILURE, SUCCESS
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.phases import Phase


class Wish(StrEnum):
    """What the operator asks for: a service, relative to the robot's namespace."""

    ARM = 'motion_guard/arm'
    DISARM = 'motion_guard/disarm'
    CLEAR_FAULT = 'motion_guard/clear_fault'
    NEXT_SCENE = 'reset'


@dataclass(frozen=True)
class Scene:
    """The scene that is played.

    number: counts up.  stands: whether the arm was measured in it; before, it was somewhere else.
    """

    number: int
    stands: bool
    finished: bool
    success: bool


@dataclass(frozen=True)
class Guard:
    """What the guard says of itself."""

    phase: Phase
    reason: str


@dataclass(frozen=True)
class Verdict:
    """How a scene ended.  reason: of the fault that ended it; empty where it was played."""

    success: bool
    reason: str = ''

    @property
    def label(self) -> str:
        """What a recorded episode is labelled: a fault says nothing about the task."""
        if self.reason:
            return DISCARD
        return SUCCESS if self.success else FAILURE


class SceneOperator:
    """Plays so many scenes, each from arming the guard to its verdict. Not thread-safe.

    Between, a person may do what they like: a guard that was disarmed is left alone until the scene
    is over, and an emergency stop until it was cleared.
    """

    def __init__(self, scenes: int) -> None:
        self._scenes = scenes
        self._armed: int | None = None
        self._left: int | None = None
        self.verdicts: dict[int, Verdict] = {}

    @property
    def done(self) -> bool:
        """Whether every scene has its verdict."""
        return len(self.verdicts) >= self._scenes

    def wish(self, scene: Scene, guard: Guard) -> Wish | None:
        """Return what to ask for now; the same again until it was granted."""
        self._judge(scene, guard)
        if guard.phase is Phase.FAULTED and guard.reason.startswith(E_STOP):
            return None
        if scene.number in self.verdicts:
            return self._after(scene, guard)
        return self._before(scene, guard)

    def granted(self, wish: Wish, scene: Scene) -> None:
        """Note that what was wished for in a scene was done."""
        if wish in (Wish.ARM, Wish.CLEAR_FAULT):
            self._armed = scene.number
        if wish is Wish.NEXT_SCENE:
            self._left = scene.number

    def _judge(self, scene: Scene, guard: Guard) -> None:
        if scene.number in self.verdicts or self.done:
            return
        if guard.phase in (Phase.ARMED, Phase.RUNNING) and scene.stands:
            # Whoever armed it.
            self._armed = scene.number
        if scene.finished:
            self.verdicts[scene.number] = Verdict(scene.success)
        elif guard.phase is Phase.FAULTED and self._armed == scene.number:
            self.verdicts[scene.number] = Verdict(False, guard.reason)

    def _before(self, scene: Scene, guard: Guard) -> Wish | None:
        if self.done or not scene.stands or self._armed == scene.number:
            return None
        # A fault of the scene before: nothing of it is left in this one.
        return {Phase.DISARMED: Wish.ARM, Phase.FAULTED: Wish.CLEAR_FAULT}.get(guard.phase)

    def _after(self, scene: Scene, guard: Guard) -> Wish | None:
        if guard.phase in (Phase.ARMED, Phase.RUNNING):
            return Wish.DISARM
        if guard.phase is Phase.STOPPING or self.done or self._left == scene.number:
            return None
        return Wish.NEXT_SCENE
