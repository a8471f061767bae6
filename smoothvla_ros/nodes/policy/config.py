"""Settings of the policy node."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.live.live_observation_slot import TRIGGERS, Trigger
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CAMERAS, CONTROL_PERIOD_S, FINGER_SIGNS
from smoothvla_ros.nodes.topics.quality_of_service import GRAPHS
from smoothvla_ros.nodes.topics.robot_names import (
    MEASURED,
    PANDA_GRIPPER_JOINTS,
    require_one_robot,
)


@dataclass(frozen=True)
class PolicyConfig:
    """Whom the policy serves, and how."""

    graph: str = setting('lock_step', 'Graph that the node runs in', choices=GRAPHS)
    robots: int = setting(2, 'Robots that are served', minimum=1, maximum=64)
    cameras: tuple[str, ...] = setting(CAMERAS, 'Cameras of an observation')
    robot: str = setting('panda', 'Arm: a name in config/robots, or a file')
    urdf: str = setting('', "URDF of the arm; empty takes the robot file's")
    joint_states: str = setting(
        MEASURED,
        "Real arm: topic with the joints, in the robot's namespace, or with a / before it, of one "
        'robot, as it is',
    )
    gripper_joints: tuple[str, ...] = setting(
        PANDA_GRIPPER_JOINTS, "The gripper's joints in joint_states"
    )
    gripper_states: str = setting(
        '',
        "Real arm: topic of the gripper's joints where joint_states has the arm's only; named as "
        'joint_states is',
    )
    gripper_scale: tuple[float, ...] = setting(
        FINGER_SIGNS, "The policy's finger position for each unit of the gripper's joint"
    )
    gripper_offset: tuple[float, ...] = setting(
        (0.0, 0.0), "The policy's finger position where the gripper's joint is at 0, m"
    )
    control_period_s: float = setting(
        CONTROL_PERIOD_S, 'Time between two actions of a chunk, s', minimum=0.001, maximum=10.0
    )
    policy: str = setting(
        '', "Weights to start with: a folder or 'default'; empty waits for policy_update"
    )
    device: str = setting(
        'cpu', 'Torch device of the inference: cpu, cuda, or auto for a GPU where there is one'
    )
    threads: int = setting(1, 'Threads of one inference', minimum=1, maximum=256)
    deterministic: bool = setting(
        True, 'One robot an inference: what is batched together changes the last bits'
    )
    heartbeat_period_s: float = setting(
        0.1,
        'Time between signs of life to the guards of real arms, s; lock-step has none',
        minimum=0.01,
        maximum=10.0,
    )
    record_rollouts: bool = setting(True, 'Publish on rollout_step what a trainer learns from')
    trigger: str = setting(
        Trigger.BEFORE_CHUNK_END.value,
        'Real arm: which observations are answered',
        choices=TRIGGERS,
    )
    lead_s: float = setting(
        0.12,
        'Real arm: how long before the end of a chunk the next is to be there, s: the '
        "guard's horizon_s and some ticks",
        minimum=0.0,
        maximum=10.0,
    )
    max_lead_s: float = setting(
        0.5,
        'Real arm: most time before the end of a chunk at which the next is decided, s: what was '
        'measured from image to image and from image to chunk is added to lead_s up to here',
        minimum=0.0,
        maximum=10.0,
    )
    max_skew_s: float = setting(
        0.04, 'Real arm: most time between the parts of an observation, s', minimum=0.0, maximum=1.0
    )
    max_gripper_skew_s: float = setting(
        0.15,
        'Real arm: the same for finger positions on a topic of their own (gripper_states), which '
        'a Franka hand says 15 times a second, s',
        minimum=0.0,
        maximum=1.0,
    )
    max_age_s: float = setting(
        0.3, 'Real arm: most age of an observation, s', minimum=0.001, maximum=10.0
    )
    instruction: str = setting('', 'Real arm: what to do, until the topic task says otherwise')
    temperature: float = setting(
        0.0, 'Real arm: sampling temperature, 0 is greedy', minimum=0.0, maximum=10.0
    )
    seed: int = setting(0, 'Real arm: seed of the sampling', minimum=0)

    def __post_init__(self) -> None:
        validate(self, 'policy node')
        for name in ('joint_states', 'gripper_states'):
            require_one_robot('policy node', getattr(self, name), self.robots, name)
        for name in ('gripper_scale', 'gripper_offset'):
            count, wanted = len(getattr(self, name)), len(self.gripper_joints)
            if count != wanted:
                raise UserError(
                    f'policy node: {name} has {count} numbers for {wanted} gripper_joints; '
                    'give one a joint'
                )
        if self.max_lead_s < self.lead_s:
            raise UserError(
                f'policy node: max_lead_s={self.max_lead_s:g} is below lead_s={self.lead_s:g}; '
                'make it equal for a lead that nothing is added to'
            )
