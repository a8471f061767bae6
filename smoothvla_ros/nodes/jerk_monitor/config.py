"""What the monitor can be told: whom it hears, and when it raises its voice."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.kinematics.robot import COMFORT, LIMIT_SETS
from smoothvla_ros.nodes.topics.quality_of_service import GRAPHS
from smoothvla_ros.nodes.topics.robot_names import MEASURED, require_one_robot
from smoothvla_ros.smoothness import EstimatorSettings

NONE = 'none'


@dataclass(frozen=True)
class JerkMonitorConfig(EstimatorSettings):
    """Whom the monitor hears, and when it raises its voice."""

    graph: str = setting('lock_step', 'Graph that the node runs in', choices=GRAPHS)
    robots: int = setting(2, 'Robots that are heard', minimum=1, maximum=64)
    robot: str = setting('panda', 'Arm: a name in config/robots, or a file')
    urdf: str = setting('', "URDF of the arm; empty takes the robot file's")
    joint_states: str = setting(
        MEASURED,
        "Topic with the joints, in the robot's namespace, or with a / before it, of one robot, as "
        "it is; the guard's is motion_guard/commanded_joint_states",
    )
    jerk: str = setting('jerk', "Topic of what is measured, in the robot's namespace")
    limits: str = setting(
        COMFORT, "Joint limits of the robot file that alarm, or 'none'", choices=(*LIMIT_SETS, NONE)
    )
    poll_period_s: float = setting(
        0.05,
        'Longest time between two looks at the queues, s; a fast stream is looked at more often',
        minimum=0.001,
        maximum=1.0,
    )
    warning: float = setting(20.0, 'Tool jerk of a warning, m/s^3', minimum=0.0)
    alarm: float = setting(50.0, 'Tool jerk of an alarm, m/s^3', minimum=0.0)
    encoder_step: float = setting(
        1e-5, 'Smallest step of a joint position, rad: the noise floor follows', minimum=0.0
    )
    velocity_step: float = setting(
        0.0,
        'Smallest step of a joint velocity, rad/s: velocities are fitted along with the positions; '
        '0 uses positions alone, as reward and report do',
        minimum=0.0,
    )
    statistics_s: float = setting(
        10.0,
        'On a real arm, mean, RMS, peak, LDLJ and SPARC are of the last so many seconds; 0: of '
        'all. No SPARC is of more than 600 s',
        minimum=0.0,
        maximum=3600.0,
    )
    silence_s: float = setting(
        2.0, 'On a real arm, say so when nothing is measured for this long, s', minimum=0.1
    )

    def __post_init__(self) -> None:
        # First, or the estimator would call every setting its own.
        validate(self, 'jerk_monitor node')
        require_one_robot('jerk_monitor node', self.joint_states, self.robots)
        super().__post_init__()
