"""Run the policy on an arm: a real one, ros2_control's mock, or the MuJoCo twin.

Policy, motion guard and jerk monitor are the same in all, with the same parameter files. A real arm
is moved by this launch's own ros2_control, or by a driver that runs already. When any node ends,
everything that was started here ends: first the guard, which brings the arm to rest, then
ros2_control.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from smoothvla_ros.cameras.settings import SOURCE_KINDS
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.example_urdf import with_mesh_files
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.libero import CAMERAS
from smoothvla_ros.nodes.launching.arguments import (
    agree,
    check,
    check_namespace,
    declare_arguments,
    drawn_for,
    expand_files,
    given,
    stay_on_this_machine,
)
from smoothvla_ros.nodes.launching.parameter_files import effective, parameters_of
from smoothvla_ros.nodes.launching.recorder import declare_recording, recorder
from smoothvla_ros.nodes.launching.ros2_control import (
    DRIVER,
    controllers_rate,
    declare_ros2_control,
    has_hand,
    is_real,
    ros2_control,
    stopped_after_guard,
)
from smoothvla_ros.nodes.launching.security import enclave
from smoothvla_ros.nodes.launching.viewer import (
    NONE,
    RVIZ,
    declare_description,
    declare_viewer,
    viewer,
    wanted,
)
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.topics.controllers import (
    CONTROLLERS,
    GRIPPER_ACTION,
    POSITION_CONTROLLER,
)
from smoothvla_ros.nodes.twin_operator import TwinOperatorConfig
from smoothvla_ros.robot_name import ROBOT
from smoothvla_ros.simulation.twin.config import TwinConfig
from smoothvla_ros.smoothness import EstimatorSettings

SHARE = Path(__file__).resolve().parents[1]
CONFIG = SHARE / 'config'
GUARD_FILE = CONFIG / 'motion_guard.yaml'
TWIN = (
    'suite',
    'task',
    'split',
    'episodes',
    'seed',
    'instruction',
    'speed',
    'publish_clock',
    'render_profile',
    'motions',
    'joint_rate_hz',
)
OPERATOR = ('scenes', 'stay')
# Where the arm is heard, and by whom.
JOINTS = ('joint_states',)
HEAR_JOINTS = ('policy', 'motion_guard', 'jerk_monitor', 'rerun_viewer')
POLICY = ('policy', 'instruction', 'temperature', 'device', *JOINTS)
GUARD = ('controller', 'command_topic', 'auto_arm', *JOINTS)
# For `smoothvla launch`: whose setting an argument may be that this file does not have.
SETTINGS = {
    'policy': PolicyConfig,
    'motion_guard': MotionGuardConfig,
    'jerk_monitor': EstimatorSettings,
    'twin': TwinConfig,
    'operator': TwinOperatorConfig,
}
# Positions that are streamed to the twin hold for one of its steps.
TWIN_PHYSICS_HZ = 500.0


def graph(context: LaunchContext) -> list[Node]:
    """Return the nodes, with the arguments that were given on top of the parameter files."""
    arguments = context.launch_configurations
    expand_files(arguments)
    check_namespace(arguments)
    stay_on_this_machine()
    if arguments['hardware'] == DRIVER:
        require_joint_states(arguments)
    beside = ours(arguments)
    if arguments['hardware'] == 'twin':
        arm = [twin(arguments), *operator(arguments)]
    elif arguments['hardware'] == DRIVER:
        arm = cameras(arguments)
    else:
        driver = ros2_control(arguments, robot_namespace(arguments), guard_config(arguments))
        arm = [*driver, *cameras(arguments)]
    return [*recorder(arguments), *arm, *beside, *view(arguments)]


def require_joint_states(arguments: dict[str, str]) -> None:
    """Raise UserError where nobody says on which topic a driver that runs already has the joints.

    A relay of them goes on when the arm is silent, and no watchdog would notice.
    """
    agree(arguments, *JOINTS, HEAR_JOINTS)
    if not arguments['joint_states']:
        raise UserError(
            f'hardware:={DRIVER}: name the topic on which the driver itself says the joints, no '
            'relay of it: joint_states:=franka/joint_states (franka_ros2 in the namespace '
            f'{ROBOT}) or joint_states:=/joint_states (ur_robot_driver)'
        )


def own_node(
    arguments: dict[str, str],
    executable: str,
    name: str,
    values: dict[str, Any],
    *,
    files: Sequence[str] = (),
    namespace: str | None = None,
    prefix: str | None = None,
) -> Node:
    """Return a node of this package; everything ends with it."""
    return Node(
        package='smoothvla_ros',
        executable=executable,
        exec_name=name,
        prefix=prefix,
        name=name,
        namespace=arguments['namespace'] if namespace is None else namespace,
        parameters=[*files, arguments['config'], values],
        output='screen',
        ros_arguments=enclave(arguments, name),
        on_exit=Shutdown(reason=f'{name} ended'),
    )


def ours(arguments: dict[str, str]) -> list[Node]:
    """Return what does not depend on the hardware."""
    arm = {'graph': 'real_arm'} | clock(arguments)
    policy = arm | given(arguments, POLICY)
    if arguments['record'] == 'true':
        # What a recording is learnt from (docs/recording.md).
        policy['record_rollouts'] = True
    if has_hand(arguments):
        policy['gripper_states'] = f'{arguments["hand"]}/joint_states'
    nodes = [
        own_node(arguments, 'policy', 'policy', policy, files=[str(CONFIG / 'policy.yaml')]),
        own_node(
            arguments,
            'motion_guard',
            'motion_guard',
            guard_parameters(arguments),
            files=[str(GUARD_FILE)],
            namespace=robot_namespace(arguments),
        ),
    ]
    if arguments['record'] == 'true':
        namespace = robot_namespace(arguments)
        nodes.append(own_node(arguments, 'episodes', 'episodes', {}, namespace=namespace))
    return [*nodes, *monitors(arguments)]


def guard_parameters(arguments: dict[str, str]) -> dict[str, Any]:
    """Return what the guard is told beside its files; raises UserError as `guard_config` does."""
    guard_config(arguments)
    values = clock(arguments) | given(arguments, GUARD) | decided_for_guard(arguments)
    if is_real(arguments):
        # Whatever pattern of names a parameter file has.
        values['auto_arm'] = False
    return values


def guard_config(arguments: dict[str, str]) -> MotionGuardConfig:
    """Return the settings that the guard will have, whichever file or argument says so.

    Raises UserError for a controller that it could not move smoothly and for a real arm that it
    would take over by itself, before any node starts.
    """
    decided = decided_for_guard(arguments)
    config = check(MotionGuardConfig, arguments, GUARD, 'motion_guard', GUARD_FILE, decided)
    if is_real(arguments) and config.auto_arm:
        raise UserError(
            f'auto_arm=true is for simulated arms; with hardware:={arguments["hardware"]} leave it '
            f'out, of {arguments["config"]} too, and call motion_guard/arm when nobody is in reach'
        )
    return config


def decided_for_guard(arguments: dict[str, str]) -> dict[str, Any]:
    """Return what of the guard's settings follows from the hardware."""
    if has_hand(arguments):
        # The hand's driver has an action, and a topic for the fingers.
        topic = f'{arguments["hand"]}/gripper_action'
        return {'gripper': GRIPPER_ACTION, 'gripper_topic': topic}
    said = arguments['controller'] or effective('motion_guard', GUARD_FILE, arguments)['controller']
    if arguments['hardware'] == 'twin' and said == POSITION_CONTROLLER:
        return {'rate_hz': TWIN_PHYSICS_HZ, 'controller_rate_hz': TWIN_PHYSICS_HZ}
    return {}


def monitors(arguments: dict[str, str]) -> list[Node]:
    """Return what measures the jerk of the arm and, on request, of what it is commanded."""
    if arguments['monitor'] == 'false':
        if arguments['monitor_commands'] == 'true':
            raise UserError('monitor_commands:=true needs monitor:=true')
        return []
    file = CONFIG / 'jerk_monitor.yaml'
    rate = joint_rate(arguments)
    check(EstimatorSettings, arguments | {'rate_hz': rate}, ('rate_hz',), 'jerk_monitor')
    common = {'graph': 'real_arm'} | clock(arguments)
    measured = common | {'rate_hz': ParameterValue(rate, value_type=str)}
    measured |= given(arguments, JOINTS)
    nodes = [own_node(arguments, 'jerk_monitor', 'jerk_monitor', measured, files=[str(file)])]
    if arguments['monitor_commands'] == 'true':
        rate = str(guard_config(arguments).rate_hz)
        check(EstimatorSettings, arguments | {'rate_hz': rate}, ('rate_hz',), 'jerk_monitor')
        # The same settings but for the rate, and commands know no encoder's steps.
        commanded = {
            **effective('jerk_monitor', file, arguments),
            **parameters_of('commanded_jerk_monitor', arguments),
            **common,
            'rate_hz': ParameterValue(rate, value_type=str),
            'encoder_step': 0.0,
            'joint_states': 'motion_guard/commanded_joint_states',
            'jerk': 'commanded_jerk',
        }
        nodes.append(own_node(arguments, 'jerk_monitor', 'commanded_jerk_monitor', commanded))
    return nodes


def joint_rate(arguments: dict[str, str]) -> str:
    """Return at which rate the monitor is to expect the joints, Hz.

    The monitor's own file is not asked: it has the rate of training.
    """
    said = arguments['joint_rate_hz'] or parameters_of('jerk_monitor', arguments).get('rate_hz')
    if said is not None and said != '':
        return str(said)
    if arguments['hardware'] == 'twin':
        return f'{check(TwinConfig, arguments, TWIN, "twin").joint_rate_hz:g}'
    return controllers_rate(arguments)


def twin(arguments: dict[str, str]) -> Node:
    """Return the node that stands for ros2_control, the arm and its cameras."""
    policy = arguments['policy'] or parameters_of('policy', arguments).get('policy')
    drawn = drawn_for([policy] if policy else [], 'twin', arguments)
    values = {'robot_name': ROBOT} | drawn | given(arguments, TWIN)
    played = operated(arguments)
    # As many different scenes as are played, unless it is said how many there are.
    said = values | parameters_of('twin', arguments)
    if played and played.scenes > TwinConfig.episodes and 'episodes' not in said:
        values['episodes'] = played.scenes
    # The guard's stop goes by the twin's clock, and needs an arm to stop.
    return own_node(arguments, 'twin', 'twin', values, prefix=stopped_after_guard())


def operated(arguments: dict[str, str]) -> TwinOperatorConfig | None:
    """Return what is played by itself; None where a person arms the guard."""
    if arguments['operator'] == 'false':
        return None
    return check(TwinOperatorConfig, arguments, OPERATOR, 'operator')


def operator(arguments: dict[str, str]) -> list[Node]:
    """Return who stands beside the twin: nobody could be hurt by it."""
    if operated(arguments) is None:
        return []
    # Whoever opens a viewer has not seen anything yet when a short scene ends.
    stays = wanted(arguments) != NONE and 'stay' not in parameters_of('operator', arguments)
    watched = {'stay': True} if stays else {}
    values = {'robot_name': ROBOT} | watched | given(arguments, OPERATOR)
    return [own_node(arguments, 'twin_operator', 'operator', values)]


def cameras(arguments: dict[str, str]) -> list[Node]:
    """Return a node for each camera of the policy."""
    source = given({'source': arguments['camera_source']}, ('source',))
    return [
        own_node(
            arguments,
            'camera',
            f'camera_{camera}',
            {'robot_name': ROBOT, 'camera': camera} | source,
        )
        for camera in CAMERAS
        if arguments['cameras'] == 'true'
    ]


def view(arguments: dict[str, str]) -> list[Node]:
    """Return what shows arm, cameras and jerk, on request."""
    values = {'graph': 'real_arm'} | clock(arguments)
    shown = viewer(arguments, SHARE / 'rviz' / 'deploy.rviz', values, JOINTS)
    if wanted(arguments) != RVIZ or arguments['hardware'] != 'twin':
        return shown
    # RViz hears where the links are; the twin, unlike ros2_control, has nobody who says so.
    urdf_text = with_mesh_files(panda_description().urdf_path.read_text())
    description = {'robot_description': ParameterValue(urdf_text, value_type=str)}
    return [
        *shown,
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            name='robot_state_publisher',
            namespace=robot_namespace(arguments),
            parameters=[description | clock(arguments)],
            output='screen',
        ),
    ]


def robot_namespace(arguments: dict[str, str]) -> str:
    """Return the namespace of the arm's own nodes."""
    return '/'.join(filter(None, (arguments['namespace'], ROBOT)))


def clock(arguments: dict[str, str]) -> dict[str, bool]:
    """Return whose time the nodes go by: the twin's, where it is not the wall's."""
    simulated = arguments['hardware'] == 'twin'
    return {'use_sim_time': simulated and check(TwinConfig, arguments, TWIN, 'twin').owns_clock}


def switch(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """Return an argument that is true or false."""
    return DeclareLaunchArgument(
        name, default_value=default, choices=['true', 'false'], description=description
    )


def generate_launch_description() -> LaunchDescription:
    """Return the description of the deployment graph."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'hardware',
                default_value='twin',
                choices=['real', DRIVER, 'mock', 'twin'],
                description='What moves: the arm by ros2_control, an arm whose own driver runs '
                'already, a mock that follows at once, or the MuJoCo twin',
            ),
            DeclareLaunchArgument(
                'config',
                default_value=str(CONFIG / 'deploy.yaml'),
                description='Parameter file of the whole graph; other arguments override it',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of every node and topic'
            ),
            DeclareLaunchArgument(
                'policy',
                default_value='',
                description="Folder of the policy, or 'default' (empty: as in the file `config`)",
            ),
            DeclareLaunchArgument(
                'temperature',
                default_value='',
                description='Sampling temperature; 0 is greedy (empty: as in the file `config`)',
            ),
            DeclareLaunchArgument(
                'controller',
                default_value='',
                choices=['', *CONTROLLERS],
                description='Controller that the guard commands (empty: as in the file `config`, '
                f'else {CONTROLLERS[0]})',
            ),
            *declare_arguments(MotionGuardConfig, ('command_topic',), 'the file `config`'),
            *declare_arguments(PolicyConfig, JOINTS, 'the file `config`'),
            DeclareLaunchArgument(
                'auto_arm',
                default_value='',
                choices=['', 'true', 'false'],
                description='Arm the guard without being asked; not a real arm (empty: as in the '
                'file `config`, else false)',
            ),
            switch(
                'operator',
                'true',
                'Twin: whether the guard is armed for each scene and disarmed after its verdict',
            ),
            *declare_arguments(TwinOperatorConfig, OPERATOR, 'the file `config`'),
            switch('monitor', 'true', 'Whether to run the jerk monitor'),
            switch(
                'monitor_commands', 'false', "Whether to measure the guard's commands beside it"
            ),
            *declare_viewer(),
            declare_description(),
            *declare_recording(),
            switch('security', 'false', 'Whether every node runs in its SROS 2 enclave'),
            switch('cameras', 'true', 'Real, driver, mock: whether to run the camera nodes'),
            DeclareLaunchArgument(
                'camera_source',
                default_value='',
                choices=['', *SOURCE_KINDS],
                description='Real, driver, mock: source of both cameras (empty: as in the file '
                '`config`)',
            ),
            *declare_ros2_control(SHARE),
            *declare_arguments(TwinConfig, TWIN, 'the file `config`'),
            DeclareLaunchArgument(
                'device',
                default_value='',
                description='Torch device of the policy: cpu, cuda, or auto for a GPU where there '
                'is one (empty: as in the file `config`, else cpu)',
            ),
            OpaqueFunction(function=graph),
        ]
    )
