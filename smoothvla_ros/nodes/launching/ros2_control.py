"""ros2_control beside the guard: the driver of a real or mocked arm, and its controllers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from launch.actions import DeclareLaunchArgument, Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launching.parameter_files import parameters_of
from smoothvla_ros.nodes.launching.security import enclave
from smoothvla_ros.nodes.launching.xacro_description import xacro_description
from smoothvla_ros.nodes.motion_guard.config import STOP_TIMEOUT_S, MotionGuardConfig
from smoothvla_ros.nodes.topics.controllers import CONTROLLERS, GRIPPER_TOPICS

GRIPPER_CONTROLLER = 'gripper_controller'
NO_HAND = 'none'
# The arm's own driver, with its controllers, runs already: nothing of ros2_control is started.
DRIVER = 'driver'
# The guard has to leave the graph as well once the arm rests.
STOPPED_AFTER_S = STOP_TIMEOUT_S + 1.0


def declare_ros2_control(share: Path) -> list[DeclareLaunchArgument]:
    """Return the arguments that say which arm it is; share: folder of `urdf` and `config`."""
    return [
        DeclareLaunchArgument('robot_ip', default_value='', description='Real: address of the arm'),
        DeclareLaunchArgument(
            'hand',
            default_value='franka_gripper',
            description="Real, driver: node of the hand's driver, in the namespace of the robot; "
            f'{NO_HAND}: a gripper as in the file `config`',
        ),
        DeclareLaunchArgument(
            'description',
            default_value=str(share / 'urdf' / 'panda.urdf.xacro'),
            description='Real, mock: xacro with ros2_control and the argument hardware_type',
        ),
        DeclareLaunchArgument(
            'links',
            default_value='',
            description='Real, mock: URDF of the links, the argument description of the '
            'xacro (empty: as the xacro says)',
        ),
        DeclareLaunchArgument(
            'controllers',
            default_value=str(share / 'config' / 'controllers.yaml'),
            description='Real, mock: parameter file of the controllers',
        ),
    ]


def is_real(arguments: Mapping[str, str]) -> bool:
    """Return whether somebody could be hurt, whoever starts the arm's driver."""
    return arguments['hardware'] in ('real', DRIVER)


def controllers_rate(arguments: Mapping[str, str]) -> str:
    """Return at which rate the controllers run and joint states come, Hz, by their own file.

    Raises UserError for a file that does not say it, and for a driver that has its own.
    """
    if arguments['hardware'] == DRIVER:
        raise UserError(
            f'hardware:={DRIVER}: only you know at which rate its driver says the joints; give '
            'joint_rate_hz, as in joint_rate_hz:=1000 (franka_ros2) or 500 (a UR e-series), or '
            'monitor:=false'
        )
    rate = parameters_of('controller_manager', arguments, 'controllers').get('update_rate')
    if rate is None:
        raise UserError(
            f'controllers:={arguments["controllers"]} has no update_rate of the '
            'controller_manager; say it there, or give joint_rate_hz'
        )
    return str(rate)


def has_hand(arguments: Mapping[str, str]) -> bool:
    """Return whether the gripper has a driver of its own beside ros2_control."""
    return is_real(arguments) and arguments['hand'] not in ('', NO_HAND)


def ros2_control(
    arguments: Mapping[str, str], namespace: str, guard: MotionGuardConfig
) -> list[Node]:
    """Return the arm's driver, its controllers, and what tells the others where its links are.

    namespace: of the arm's own nodes.  guard: it decides which controllers are active.
    Raises UserError where there is no xacro, and for whatever it complains of.
    """
    names = ('description', 'hardware', 'robot_ip', 'links')
    urdf = xacro_description(*(arguments[name] for name in names))
    description = {'robot_description': ParameterValue(urdf, value_type=str)}
    after_guard = stopped_after_guard()
    return [
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            exec_name='robot_state_publisher',
            name='robot_state_publisher',
            namespace=namespace,
            parameters=[description],
            output='screen',
            ros_arguments=enclave(arguments, 'robot_state_publisher'),
            prefix=after_guard,
            on_exit=Shutdown(reason='robot_state_publisher ended'),
        ),
        Node(
            package='controller_manager',
            executable='ros2_control_node',
            exec_name='ros2_control_node',
            name='controller_manager',
            namespace=namespace,
            parameters=[arguments['controllers']],
            output='screen',
            ros_arguments=enclave(arguments, 'controller_manager'),
            prefix=after_guard,
            on_exit=Shutdown(reason='controller_manager ended'),
        ),
        *_spawners(arguments, namespace, guard),
    ]


def _spawners(arguments: Mapping[str, str], namespace: str, guard: MotionGuardConfig) -> list[Node]:
    """Return what loads the controllers; it ends when they run, and nothing ends with it."""
    active = ['joint_state_broadcaster', guard.controller]
    gripper_topic = guard.gripper_topic or GRIPPER_TOPICS[guard.gripper]
    if gripper_topic.startswith(f'{GRIPPER_CONTROLLER}/'):
        active.append(GRIPPER_CONTROLLER)
    loaded = [name for name in CONTROLLERS if name != guard.controller]
    common = ['--controller-manager', f'/{namespace.lstrip("/")}/controller_manager']
    common += ['--param-file', arguments['controllers']]
    return [
        Node(
            package='controller_manager',
            executable='spawner',
            name=name,
            namespace=namespace,
            arguments=words,
            output='screen',
            ros_arguments=enclave(arguments, 'spawner'),
        )
        for name, words in {
            'spawner_active': [*active, *common],
            'spawner_inactive': [*loaded, *common, '--inactive'],
        }.items()
    ]


def stopped_after_guard() -> str:
    """Return the words before a command that the guard's stop needs to the end.

    launch would call the process by the first of them: give `exec_name` too.
    """
    module = 'smoothvla_ros.nodes.launching.stop_after_guard'
    return shlex.join([sys.executable, '-m', module, str(STOPPED_AFTER_S)])
