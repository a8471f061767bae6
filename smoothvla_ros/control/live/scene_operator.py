"""Who stands beside a simulated arm: arms the guard for a scene, disarms it when the scene is over.

On a real arm a person does that. Here nobody has to, and an arm that has done its task rests
instead of going on until something stops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smoothvla_ros.control.live.episode_keeper import DISCARD, FAILURE, SUCCESS
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

    began_ns: the stamp of its first joint state, which no two scenes share.  stands: whether the
    arm was measured in it; before, it was somewhere else.  finished: by success or by its time.
    """

    began_ns: int
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

    A guard that a person disarms is left alone until the scene is over, an emergency stop until a
    person has cleared it, and everything once the arm rests after the last scene. A scene in which
    nobody was seen to arm the guard has no verdict.
    """

    def __init__(self, scenes: int) -> None:
        self._scenes = scenes
        self._armed: int | None = None
        self._left: int | None = None
        self._retired = False
        self.verdicts: dict[int, Verdict] = {}

    @property
    def done(self) -> bool:
        """Whether so many scenes have their verdict."""
        return len(self.verdicts) >= self._scenes

    def judge(self, scene: Scene, guard: Guard) -> Verdict | None:
        """Return how the scene ended, or None while it is played."""
        known = self.verdicts.get(scene.began_ns)
        if known is not None or self.done:
            return known
        if guard.phase in (Phase.ARMED, Phase.RUNNING) and scene.stands:
            # Whoever armed it.
            self._armed = scene.began_ns
        if self._armed == scene.began_ns:
            if scene.finished:
                self.verdicts[scene.began_ns] = Verdict(scene.success)
            elif guard.phase is Phase.FAULTED:
                self.verdicts[scene.began_ns] = Verdict(False, guard.reason)
        return self.verdicts.get(scene.began_ns)

    def wish(self, scene: Scene, guard: Guard, *, policy_lives: bool) -> Wish | None:
        """Return what to ask for now; the same again until it was granted.

        policy_lives: whether there is a policy to arm for; the time of a scene runs from then on.
        """
        over = self.judge(scene, guard) is not None or scene.finished
        at_rest = guard.phase in (Phase.DISARMED, Phase.FAULTED)
        self._retired |= self.done and at_rest
        if self._retired or (guard.phase is Phase.FAULTED and guard.reason.startswith(E_STOP)):
            return None
        return self._after(scene, guard) if over else self._before(scene, guard, policy_lives)

    def granted(self, wish: Wish, scene: Scene) -> None:
        """Note that what was wished for in a scene was done."""
        if wish is Wish.ARM:
            self._armed = scene.began_ns
        if wish is Wish.NEXT_SCENE:
            self._left = scene.began_ns

    def _before(self, scene: Scene, guard: Guard, policy_lives: bool) -> Wish | None:
        if not (scene.stands and policy_lives) or self._armed == scene.began_ns:
            return None
        # A fault of the scene before: nothing of it is left in this one. Cleared, it is armed next.
        return {Phase.DISARMED: Wish.ARM, Phase.FAULTED: Wish.CLEAR_FAULT}.get(guard.phase)

    def _after(self, scene: Scene, guard: Guard) -> Wish | None:
        if guard.phase in (Phase.ARMED, Phase.RUNNING):
            return Wish.DISARM
        if guard.phase is Phase.STOPPING or self._left == scene.began_ns:
            return None
        return Wish.NEXT_SCENE
