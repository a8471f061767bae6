"""Who stands beside a simulated arm: arms the guard for a scene, disarms it when the scene is over.

On a real arm a person does that. Here nobody has to, and an arm that has done its task rests
instead of going on until something stops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smoothvla_ros.control.live.episode_keeper import DISCARD, FAILURE, SUCCESS
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.phases import GuardPhase

# Of the arm's own time: what was measured before the scene began must be gone from every queue.
SETTLE_NS = 200_000_000
# Of the wall's time.
HEARTBEAT_TIMEOUT_S = 2.0


class OperatorRequest(StrEnum):
    """What the operator asks for: a service, relative to the robot's namespace."""

    ARM = 'motion_guard/arm'
    DISARM = 'motion_guard/disarm'
    CLEAR_FAULT = 'motion_guard/clear_fault'
    NEXT_SCENE = 'reset'


@dataclass(frozen=True)
class SceneProgress:
    """The scene that is played.

    began_ns: the stamp of its first joint state, which no two scenes share.  stands: whether the
    arm was measured in it; before, it was somewhere else.  finished: by success or by its time.
    """

    began_ns: int
    stands: bool
    finished: bool
    success: bool

    @classmethod
    def measured(
        cls, began_ns: int, newest_ns: int, *, finished: bool, success: bool
    ) -> SceneProgress:
        """Return the scene of an arm whose newest joint state has this stamp."""
        return cls(began_ns, newest_ns - began_ns > SETTLE_NS, finished, success)


@dataclass(frozen=True)
class Guard:
    """What the guard says of itself."""

    phase: GuardPhase
    reason: str


@dataclass(frozen=True)
class SceneVerdict:
    """How a scene ended.  reason: of the fault that ended it; empty where it was played."""

    success: bool
    reason: str = ''

    @property
    def label(self) -> str:
        """What a recorded episode is labelled: a fault says nothing about the task."""
        if self.reason:
            return DISCARD
        return SUCCESS if self.success else FAILURE


def policy_lives(heartbeat_s: float, now_s: float) -> bool:
    """Return whether a policy is there whose last sign of life came then; s of one clock."""
    return now_s - heartbeat_s < HEARTBEAT_TIMEOUT_S


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
        self.verdicts: dict[int, SceneVerdict] = {}

    @property
    def done(self) -> bool:
        """Whether so many scenes have their verdict."""
        return len(self.verdicts) >= self._scenes

    @property
    def retired(self) -> bool:
        """Whether the arm has come to rest after the last scene: nothing more is asked for."""
        return self._retired

    @property
    def standing(self) -> str:
        """How many scenes were solved so far, in a line."""
        solved = sum(verdict.success for verdict in self.verdicts.values())
        text = f'{solved} of {len(self.verdicts)} scenes solved'
        return f'{text}; all are played, the arm rests' if self.done else text

    def judge(self, scene: SceneProgress, guard: Guard) -> SceneVerdict | None:
        """Return how the scene ended, or None while it is played."""
        known = self.verdicts.get(scene.began_ns)
        if known is not None or self.done:
            return known
        if guard.phase in (GuardPhase.ARMED, GuardPhase.RUNNING) and scene.stands:
            # Whoever armed it.
            self._armed = scene.began_ns
        if self._armed == scene.began_ns:
            if scene.finished:
                self.verdicts[scene.began_ns] = SceneVerdict(scene.success)
            elif guard.phase is GuardPhase.FAULTED:
                self.verdicts[scene.began_ns] = SceneVerdict(False, guard.reason)
        return self.verdicts.get(scene.began_ns)

    def wish(
        self, scene: SceneProgress, guard: Guard, *, policy_lives: bool
    ) -> OperatorRequest | None:
        """Return what to ask for now; the same again until it was granted.

        policy_lives: whether there is a policy to arm for; the time of a scene runs from then on.
        """
        over = self.judge(scene, guard) is not None or scene.finished
        at_rest = guard.phase in (GuardPhase.DISARMED, GuardPhase.FAULTED)
        self._retired |= self.done and at_rest
        if self._retired or (guard.phase is GuardPhase.FAULTED and guard.reason.startswith(E_STOP)):
            return None
        return self._after(scene, guard) if over else self._before(scene, guard, policy_lives)

    def granted(self, wish: OperatorRequest, scene: SceneProgress) -> None:
        """Note that what was wished for in a scene was done."""
        if wish is OperatorRequest.ARM:
            self._armed = scene.began_ns
        if wish is OperatorRequest.NEXT_SCENE:
            self._left = scene.began_ns

    def _before(
        self, scene: SceneProgress, guard: Guard, policy_lives: bool
    ) -> OperatorRequest | None:
        if not (scene.stands and policy_lives) or self._armed == scene.began_ns:
            return None
        # A fault of the scene before: nothing of it is left in this one. Cleared, it is armed next.
        return {
            GuardPhase.DISARMED: OperatorRequest.ARM,
            GuardPhase.FAULTED: OperatorRequest.CLEAR_FAULT,
        }.get(guard.phase)

    def _after(self, scene: SceneProgress, guard: Guard) -> OperatorRequest | None:
        if guard.phase in (GuardPhase.ARMED, GuardPhase.RUNNING):
            return OperatorRequest.DISARM
        if guard.phase is GuardPhase.STOPPING or self._left == scene.began_ns:
            return None
        return OperatorRequest.NEXT_SCENE
