"""Our launch files through the small runner, against what ROS 2's own launch made of them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner import command
from smoothvla_ros.nodes.launch_runner.command import find_launch_file, parse_values
from smoothvla_ros.nodes.launch_runner.node_command import node_command
from smoothvla_ros.nodes.launch_runner.plan import PlannedNode, declared_arguments, make_plan
from smoothvla_ros.simulation.workers import robot_count

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'
# Made once with launch and launch_ros of Jazzy (versions in the file): nodes with their names,
# namespaces, parameters and ends; to be made again when a launch file changes.
REAL = json.loads((Path(__file__).parent / 'data' / 'real_launch.json').read_text())['cases']


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Not where somebody has a run: launch files look at the folder that they would write to."""
    monkeypatch.chdir(tmp_path)


def parameters(node: PlannedNode, folder: Path):
    """The parameters on the command line, as files of the package or as written values."""
    words = node_command(replace(node, package='smoothvla_ros'), folder)
    assert tuple(words[words.index('--ros-args') + 1 :][: len(node.ros_arguments)]) == (
        node.ros_arguments
    )
    for word, path in itertools.pairwise(words):
        if word == '--params-file':
            if Path(path).is_relative_to(ROOT):
                yield {'file': str(Path(path).relative_to(ROOT))}
            else:
                values = yaml.safe_load(Path(path).read_text())
                for node_values in values.values():
                    if 'robot_description' in node_values['ros__parameters']:
                        # Long, and another on every machine: test_panda_description.py has it.
                        node_values['ros__parameters']['robot_description'] = '(of xacro)'
                yield {'values': values}


@pytest.mark.parametrize('case', REAL, ids=lambda case: f'{case["file"]}-{len(case["arguments"])}')
def test_runner_starts_what_ros_launch_starts(case, tmp_path, monkeypatch):
    """The same nodes, names, namespaces, parameters with their types, arguments and ends."""
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.setenv('ROS_SECURITY_STRATEGY', 'Enforce')
    monkeypatch.setattr(robot_count, 'robots_that_fit', lambda: 2)
    plan = make_plan(LAUNCH / case['file'], case['arguments'])
    assert list(plan.arguments) == case['declared']
    assert [node.executable for node in plan.nodes] == [n['executable'] for n in case['nodes']]
    for node, real in zip(plan.nodes, case['nodes'], strict=True):
        assert node.package == real['package']
        assert node.name == real['name']
        assert node.namespace == real['namespace']
        assert node.full_name == real['full_name']
        assert node.terminal == real['emulate_tty']
        assert node.ends_all == real['ends_all']
        assert list(parameters(node, tmp_path)) == real['parameters']
        words = [word.replace(str(ROOT), 'PACKAGE') for word in node.arguments]
        assert words == real.get('arguments', [])
        assert list(node.ros_arguments) == real.get('ros_arguments', [])
        words = [word.replace(sys.executable, 'PYTHON') for word in node.prefix]
        assert words == real.get('prefix', [])


def test_security_that_would_protect_nothing_is_refused(monkeypatch):
    """Nodes that ask for keys and run without them would be open to everyone."""
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.delenv('ROS_SECURITY_STRATEGY', raising=False)
    with pytest.raises(UserError, match='security:=true needs ROS_SECURITY_STRATEGY=Enforce'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'real', 'security': 'true'})
    with pytest.raises(UserError, match='the twin has no enclave'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'twin', 'security': 'true'})
    seen = (('record', 'true'), ('viewer', 'rerun'), ('viewer', 'rviz'), ('rviz', 'true'))
    for name, value in seen:
        with pytest.raises(UserError, match='have no enclave'):
            make_plan(
                LAUNCH / 'deploy.launch.py',
                {'hardware': 'real', 'security': 'true', name: value},
            )


def test_two_viewers_at_once_are_refused():
    """One would be dropped without a word."""
    with pytest.raises(UserError, match='viewer:=rerun and rviz:=true'):
        make_plan(LAUNCH / 'train.launch.py', {'viewer': 'rerun', 'rviz': 'true'})


def test_arm_is_heard_on_this_machine_only_unless_the_shell_says_otherwise(monkeypatch):
    """Who hears the controllers' topics can move the arm."""
    name = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
    for given, expected in ((None, 'LOCALHOST'), ('SUBNET', 'SUBNET')):
        monkeypatch.setenv(name, given or '')
        if given is None:
            monkeypatch.delenv(name)
        make_plan(LAUNCH / 'deploy.launch.py', {})
        assert os.environ[name] == expected


def test_hardware_without_ros_is_one_line(monkeypatch):
    """What needs ros2_control says so where there is none, and what to do instead."""
    monkeypatch.setitem(sys.modules, 'xacro', None)
    with pytest.raises(UserError, match=r'hardware:=mock needs xacro .* or use hardware:=twin'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'mock'})


@pytest.mark.parametrize('file', ['train', 'evaluate'])
def test_as_many_robots_as_the_machine_keeps_busy_unless_somebody_says(file, tmp_path, monkeypatch):
    """The machine's number, under the parameter file's, under the argument; alike for all nodes."""
    monkeypatch.setattr(robot_count, 'robots_that_fit', lambda: 5)
    own, other, torn = (tmp_path / name for name in ('own.yaml', 'other.yaml', 'torn.yaml'))
    own.write_text('/**: {ros__parameters: {robots: 3}}\n')
    other.write_text('/policy: {ros__parameters: {robots: 1}}\n')
    torn.write_text(f'{other.read_text()}/**/libero_bridge: {{ros__parameters: {{robots: 4}}}}\n')

    def robots(given):
        plan = make_plan(LAUNCH / f'{file}.launch.py', given)
        assert len(plan.nodes) == (4 if file == 'train' else 3)
        found = []
        for node in plan.nodes:
            *_, last = parameters(node, tmp_path)
            (written,) = last['values'].values()
            found.append(written['ros__parameters'].get('robots'))
        return found

    assert set(robots({})) == {'5'}
    assert set(robots({'robots': '4'})) == {'4'}
    assert set(robots({'config': str(own)})) == {'3'}
    assert set(robots({'config': str(other)})) == {'1'}
    assert set(robots({'config': str(own), 'robots': '4'})) == {'4'}
    with pytest.raises(UserError, match=r'torn.yaml gives robots=1 and 4 to nodes that must agree'):
        robots({'config': str(torn)})


@pytest.mark.parametrize(
    ('file', 'nodes'),
    [
        ('train', {'policy', 'grpo_trainer'}),
        ('evaluate', {'policy', 'evaluator'}),
        ('deploy', {'policy'}),
    ],
)
def test_device_reaches_every_node_that_computes(file, nodes, tmp_path):
    """The argument over the file, whichever node the file tells; nothing is said otherwise."""
    told, torn = (tmp_path / name for name in ('told.yaml', 'torn.yaml'))
    told.write_text('/**/policy: {ros__parameters: {device: auto}}\n')
    torn.write_text(
        f'{told.read_text()}/**/grpo_trainer: {{ros__parameters: {{device: cpu}}}}\n'
        '/**/evaluator: {ros__parameters: {device: cpu}}\n'
    )

    def devices(given):
        found = {}
        for node in make_plan(LAUNCH / f'{file}.launch.py', given).nodes:
            for item in parameters(node, tmp_path):
                for pattern, written in item.get('values', {}).items():
                    meant = pattern.rpartition('/')[2] in ('**', node.name)
                    if meant and 'device' in written['ros__parameters']:
                        found[node.name] = written['ros__parameters']['device']
        return found

    assert devices({}) == {}
    assert devices({'device': 'cuda'}) == dict.fromkeys(nodes, 'cuda')
    assert devices({'config': str(torn), 'device': 'cuda'}) == dict.fromkeys(nodes, 'cuda')
    if file != 'deploy':
        assert devices({'config': str(told)}) == dict.fromkeys(nodes, 'auto')
        with pytest.raises(UserError, match=r'torn.yaml gives device=auto and cpu to nodes that'):
            devices({'config': str(torn)})


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.launch.py')), ids=lambda path: path.name)
def test_every_launch_file_is_compared_and_described(path):
    """No launch file without a comparison; no argument without a description."""
    assert path.name in {case['file'] for case in REAL}
    for argument in declared_arguments(path):
        assert argument.description != 'no description given'


def test_bad_arguments_are_user_errors():
    """Unknown, of another form, not among the choices, and a file that is not there."""
    train = LAUNCH / 'train.launch.py'
    with pytest.raises(UserError, match=r"unknown argument 'qqq'; known: config, namespace"):
        make_plan(train, {'qqq': 'x'})
    with pytest.raises(UserError, match='render_profile:=nice is unknown; choose from stock, fast'):
        make_plan(train, {'render_profile': 'nice'})
    with pytest.raises(UserError, match='not of the form key:=value'):
        parse_values(['suite=x'])
    with pytest.raises(UserError, match=r'there are deploy\.launch\.py, evaluate'):
        find_launch_file('tain.launch.py')


@pytest.mark.parametrize(
    ('file', 'name', 'words'),
    [
        ('evaluate', 'output', r'did you mean out:=\?; known: config'),
        ('train', 'out', r'did you mean output:=\?; known: config'),
        ('train', 'sute', r'did you mean suite:=\?; known: config'),
        (
            'train',
            'learning_rate',
            r"'learning_rate' is a setting of grpo_trainer and no argument; put "
            r'"/\*\*/grpo_trainer: {ros__parameters: {learning_rate: VALUE}}" into a copy of the '
            r'parameter file, and give config:=COPY',
        ),
        ('evaluate', 'wrong_instruction', r'"/\*\*/evaluator: {ros__parameters: {wrong_instr'),
        ('deploy', 'rate_hz', r'"/\*\*/motion_guard: {ros__parameters: {rate_hz: VALUE}}"'),
    ],
)
def test_what_an_unknown_argument_was_meant_for(file, name, words):
    """A name of nearly that spelling, or the lines of the parameter file that set it."""
    with pytest.raises(UserError, match=words):
        make_plan(LAUNCH / f'{file}.launch.py', {name: 'x'})


@pytest.mark.parametrize(
    ('file', 'given', 'words'),
    [
        ('train', {'suite': 'libero_moon'}, "suite 'libero_moon' is unknown; choose from libero_s"),
        ('train', {'tasks': '0,10'}, "task 10 of suite 'libero_spatial' is unknown; choose from 0"),
        (
            'train',
            {'tasks': 'one'},
            "grpo_trainer: tasks='one' is not a valid int; give whole numbers with commas between",
        ),
        ('train', {'reward': 'fast'}, "reward='fast' is unknown; choose from binary"),
        ('train', {'groups': '0'}, 'groups=0 is too small; the smallest allowed is 1'),
        ('train', {'iterations': '-1'}, 'training: iterations=-1 is too small'),
        ('train', {'group_size': '1000000000'}, 'group_size=1000000000 is too large; the largest'),
        ('train', {'temperature': 'nan'}, 'temperature=nan is not a finite number'),
        ('train', {'output': '/dev/null'}, 'output=/dev/null: /dev/null is not a folder; choose'),
        ('train', {'namespace': '1st'}, 'namespace:=1st is no ROS namespace; use letters'),
        ('deploy', {'namespace': 'lab//left'}, 'namespace:=lab//left is no ROS namespace'),
        ('deploy', {'speed': 'x'}, "arguments of twin: speed='x' is not a valid float; give a num"),
        ('deploy', {'speed': '0'}, 'twin: speed=0.0 is too small; the smallest allowed is 0.01'),
        ('deploy', {'suite': 'libero_moon'}, "suite 'libero_moon' is unknown; choose from libero"),
        ('deploy', {'task': '10'}, "task 10 of suite 'libero_object' is unknown; choose from 0"),
        ('deploy', {'task': 'milk'}, "task='milk' is not a valid int; give a whole number"),
        ('deploy', {'episodes': '0'}, 'twin: episodes=0 is too small'),
        (
            'monitor',
            {'joint_states': '/joint_states', 'robots': '2'},
            'joint_states=/joint_states is the topic of one robot, but robots=2',
        ),
        ('deploy', {'scenes': '0'}, 'operator: scenes=0 is too small'),
        ('deploy', {'publish_clock': 'perhaps'}, "publish_clock='perhaps' is not a valid bool"),
        ('deploy', {'joint_rate_hz': 'fast'}, "joint_rate_hz='fast' is not a valid float"),
        ('deploy', {'config': '/nowhere'}, 'config:=/nowhere: No such file or directory; give a'),
        ('train', {'config': '/nowhere'}, 'config:=/nowhere: No such file or directory; give a'),
        ('train', {'config': __file__}, r'test_launch_files\.py is n'),
        ('evaluate', {'temperatures': '0,nan'}, 'temperatures=.*nan.* is not a finite number'),
        ('evaluate', {'tasks': '10'}, "task 10 of suite 'libero_spatial' is unknown"),
        ('evaluate', {'out': '/dev/null/x'}, 'out=/dev/null/x: /dev/null is not a folder; choose'),
        (
            'evaluate',
            {'record': 'true', 'recording': '/dev/null'},
            'recording=/dev/null exists already; record to another folder',
        ),
        (
            'train',
            {'record': 'true', 'recording': '/dev/null/bag'},
            'recording=/dev/null/bag: /dev/null is not a folder; choose another one',
        ),
        ('evaluate', {'episodes': '0'}, 'evaluation: episodes=0 is too small'),
        ('evaluate', {'compare': 'my/old/policy'}, "policy 'my/old/policy' not found at my/old"),
        (
            'train',
            {'policy': '/nowhere'},
            "policy '/nowhere' not found at /nowhere; give 'default'",
        ),
        (
            'deploy',
            {'policy': '/nowhere'},
            "policy '/nowhere' not found at /nowhere; give 'default'",
        ),
    ],
)
def test_what_a_node_would_refuse_is_refused_before_any_starts(file, given, words):
    """One line within a second, not one among the words of four nodes half a minute later."""
    with pytest.raises(UserError, match=words):
        make_plan(LAUNCH / f'{file}.launch.py', given)


def test_arguments_are_checked_together_with_the_parameter_file(tmp_path):
    """Task 50 exists in the suite that the file names, in the namespace that both speak of."""
    file = tmp_path / 'mine.yaml'
    settings = {'suite': 'libero_90', 'robots': 1}
    file.write_text(yaml.dump({'/lab/grpo_trainer': {'ros__parameters': settings}}))
    given = {'config': str(file), 'tasks': '50', 'namespace': 'lab'}
    assert make_plan(LAUNCH / 'train.launch.py', given).nodes
    with pytest.raises(UserError, match="task 90 of suite 'libero_90' is unknown"):
        make_plan(LAUNCH / 'train.launch.py', given | {'tasks': '90'})


def test_speed_of_the_parameter_file_decides_whose_time_it_is(tmp_path):
    """A twin that is slow by its file publishes the clock, so every node has to go by it."""
    file = tmp_path / 'mine.yaml'
    for speed, simulated in ((1.0, False), (0.5, True)):
        file.write_text(yaml.dump({'/**/twin': {'ros__parameters': {'speed': speed}}}))
        plan = make_plan(LAUNCH / 'deploy.launch.py', {'config': str(file)})
        guard = next(node for node in plan.nodes if node.name == 'motion_guard')
        words = ' '.join(
            str(item['values']) for item in parameters(guard, tmp_path) if 'values' in item
        )
        assert (f"'use_sim_time': {simulated}") in words


@pytest.mark.parametrize(
    ('given', 'operators', 'episodes'),
    [
        ({}, 1, None),
        ({'scenes': '20'}, 1, 20),
        ({'scenes': '20', 'episodes': '30'}, 1, '30'),
        ({'operator': 'false'}, 0, None),
        ({'hardware': 'mock'}, 0, None),
    ],
)
def test_the_twin_alone_has_an_operator_and_scenes_enough(given, operators, episodes, tmp_path):
    """No arm that could hurt anybody is armed by a program; no scene is played twice."""
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    assert sum(node.executable == 'twin_operator' for node in plan.nodes) == operators
    for node in plan.nodes:
        if node.name == 'twin':
            (values,) = (item['values'] for item in parameters(node, tmp_path) if 'values' in item)
            assert values['/twin']['ros__parameters'].get('episodes') == episodes


@pytest.mark.parametrize(
    ('file', 'simulator', 'argument'),
    [
        ('train', 'libero_bridge', 'policy'),
        ('evaluate', 'libero_bridge', 'policy'),
        ('evaluate', 'libero_bridge', 'compare'),
        ('deploy', 'twin', 'policy'),
    ],
)
def test_images_are_drawn_as_large_as_the_policy_sees_them(file, simulator, argument, tmp_path):
    """OpenVLA sees 256 pixels and the shipped policy 128; a size in the parameter file holds."""
    (policy := tmp_path / 'policy').mkdir()
    (policy / 'openvla.json').write_text('{"checkpoint": "elsewhere"}')
    assert drawn(file, simulator, {}) == 128
    assert drawn(file, simulator, {argument: str(policy)}) == 256
    own = yaml.safe_load((ROOT / 'config' / f'{file}.yaml').read_text())
    own[f'/**/{simulator}'] = {'ros__parameters': {'image_size': 300}}
    (config := tmp_path / 'mine.yaml').write_text(yaml.dump(own))
    given = {argument: str(policy), 'config': str(config)}
    assert drawn(file, simulator, given) is None


def drawn(file: str, simulator: str, given: dict[str, str]) -> int | None:
    """Return the image size that a launch file gives the node that simulates."""
    nodes = make_plan(LAUNCH / f'{file}.launch.py', given).nodes
    node = next(node for node in nodes if node.executable == simulator)
    values = [item for item in node.parameters if not isinstance(item, (str, Path))]
    return next((item['image_size'] for item in values if 'image_size' in item), None)


def test_a_launch_file_is_read_without_torch():
    """What torch takes to import, its nodes take once more; the memory would stay for the run."""
    code = (
        'import sys; from pathlib import Path; '
        'from smoothvla_ros.nodes.launch_runner.plan import make_plan; '
        f'[make_plan(path, {{}}) for path in Path({str(LAUNCH)!r}).glob("*.launch.py")]; '
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize(
    ('code', 'words'),
    [
        ('from launch.actions import GroupAction', 'launch.actions.GroupAction is not known here'),
        ('import launch_xml, launch.frontend', 'module launch.frontend is not known here'),
        (
            "from launch_ros.actions import Node\nNode(package='a', executable='b', respawn=True)",
            "launch_ros.actions.Node: argument 'respawn' is not known here",
        ),
    ],
)
def test_what_the_runner_does_not_know_is_named(code, words, tmp_path, monkeypatch):
    """A file made for the real launch fails with the name of what is missing."""
    (tmp_path / 'launch_xml.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'other.launch.py'
    path.write_text(code)
    with pytest.raises(UserError, match=words):
        make_plan(path, {})


@pytest.mark.parametrize('hardware', ['real', 'mock'])
def test_positions_are_not_streamed_to_a_faster_controller(hardware):
    """As shipped the controllers run at 1 kHz: said before any node starts, with what to change."""
    given = {'hardware': hardware, 'controller': 'forward_position_controller'}
    with pytest.raises(UserError, match=r'rate_hz=250 is below the controller rate of 1000 Hz'):
        make_plan(LAUNCH / 'deploy.launch.py', given)


@pytest.mark.parametrize('hand', ['none', ''])
def test_a_gripper_of_ones_own_is_left_to_the_parameter_file(hand, monkeypatch, tmp_path):
    """Without a hand nothing overrides the file `config`, so a robot of one's own needs no code."""
    monkeypatch.setitem(sys.modules, 'xacro', SimpleNamespace(process_file=_processed))
    given = {'hardware': 'real', 'robot_ip': '1.2.3.4', 'hand': hand}
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    (guard,) = [node for node in plan.nodes if node.executable == 'motion_guard']
    (policy,) = [node for node in plan.nodes if node.executable == 'policy']
    items = [*parameters(guard, tmp_path), *parameters(policy, tmp_path)]
    assert 'gripper' not in str([item for item in items if 'values' in item])


def _processed(*arguments, **keywords):
    return SimpleNamespace(toxml=lambda: '<robot/>')


@pytest.fixture
def fake_xacro(monkeypatch):
    """Where a description comes from, for what does not look into it."""
    monkeypatch.setitem(sys.modules, 'xacro', SimpleNamespace(process_file=_processed))


def config_file(folder: Path, **nodes) -> dict[str, str]:
    """The launch argument for a parameter file with settings of each node."""
    path = folder / 'mine.yaml'
    content = {f'/**/{node}': {'ros__parameters': values} for node, values in nodes.items()}
    path.write_text(yaml.dump(content))
    return {'config': str(path)}


def told(given: dict[str, str], executable: str, folder: Path) -> dict[str, object]:
    """What the launch file itself tells a node, on top of every parameter file."""
    nodes = make_plan(LAUNCH / 'deploy.launch.py', given).nodes
    (node,) = [node for node in nodes if node.executable == executable]
    *_, last = parameters(node, folder)
    (values,) = last['values'].values()
    return values['ros__parameters']


def spawned(given: dict[str, str]) -> tuple[list[str], list[str]]:
    """The controllers that are active, and those that are only loaded."""
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    active, inactive = (
        node.arguments[: node.arguments.index('--controller-manager')]
        for node in plan.nodes
        if node.executable == 'spawner'
    )
    return list(active), list(inactive)


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    ('file', 'argument', 'in_file', 'frame'),
    [
        ('train', None, None, 'panda_link0'),
        ('monitor', None, None, 'panda_link0'),
        ('monitor', None, 'fr3', 'fr3_link0'),
        ('monitor', 'mine', 'fr3', 'mast'),
        ('deploy', None, 'mine', 'mast'),
    ],
)
def test_rviz_looks_from_the_base_of_the_arm_that_is_there(
    file, argument, in_file, frame, tmp_path
):
    """In another arm's frame it would show nothing at all."""
    panda = (ROOT / 'config' / 'robots' / 'panda.yaml').read_text()
    (mine := tmp_path / 'my_arm.yaml').write_text(panda.replace('panda_link0', 'mast'))
    robots = {'mine': str(mine), 'fr3': 'fr3'}
    given = {'viewer': 'rviz', 'namespace': 'lab'}
    given |= {'hardware': 'mock'} if file == 'deploy' else {}
    given |= {'robot': robots[argument]} if argument else {}
    if in_file:
        given |= config_file(tmp_path, jerk_monitor={'robot': robots[in_file]})
    plan = make_plan(LAUNCH / f'{file}.launch.py', given)
    (node,) = [node for node in plan.nodes if node.executable == 'rviz2']
    assert node.arguments[node.arguments.index('-f') + 1] == frame
    assert node.namespace == '/lab'


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    'pattern', ['/**', '/**/motion_guard', '/robot_0/*', 'robot_0/motion_guard']
)
def test_a_real_arm_is_never_armed_by_itself(pattern, tmp_path):
    """Neither by an argument nor by a file: whoever stands beside it calls the service."""
    real = {'hardware': 'real', 'robot_ip': '1.2.3.4'}
    with pytest.raises(UserError, match='auto_arm=true is for simulated arms'):
        make_plan(LAUNCH / 'deploy.launch.py', real | {'auto_arm': 'true'})
    (file := tmp_path / 'mine.yaml').write_text(
        yaml.dump({pattern: {'ros__parameters': {'auto_arm': True}}})
    )
    armed = {'config': str(file)}
    with pytest.raises(UserError, match=rf'auto_arm=true .* leave it out, of {file} too'):
        make_plan(LAUNCH / 'deploy.launch.py', real | armed)
    assert make_plan(LAUNCH / 'deploy.launch.py', armed).nodes
    assert make_plan(LAUNCH / 'deploy.launch.py', real | armed | {'auto_arm': 'false'}).nodes


@pytest.mark.usefixtures('fake_xacro')
def test_no_pattern_of_names_arms_a_real_arm(tmp_path):
    """The launch's own word comes last, whatever a file says in a way that it does not read."""
    real = {'hardware': 'real', 'robot_ip': '1.2.3.4'}
    assert told(real, 'motion_guard', tmp_path)['auto_arm'] is False


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    ('nodes', 'given', 'rate_hz'),
    [
        ({}, {'hardware': 'mock'}, 1000),
        ({'jerk_monitor': {'rate_hz': 500.0}}, {'hardware': 'mock'}, 500),
        ({'jerk_monitor': {'rate_hz': 500.0}}, {'hardware': 'mock', 'joint_rate_hz': '200'}, 200),
        ({}, {}, 250),
        ({'twin': {'joint_rate_hz': 500.0}}, {}, 500),
        ({'twin': {'joint_rate_hz': 500.0}}, {'joint_rate_hz': '200'}, 200),
        ({'twin': {'joint_rate_hz': 500.0}, 'jerk_monitor': {'rate_hz': 100}}, {}, 100),
    ],
)
def test_the_monitor_has_the_rate_that_argument_or_file_says(nodes, given, rate_hz, tmp_path):
    """A rate that is not the stream's yields no jerk at all."""
    given = given | config_file(tmp_path, **nodes)
    assert float(told(given, 'jerk_monitor', tmp_path)['rate_hz']) == rate_hz


@pytest.mark.usefixtures('fake_xacro')
def test_told_nothing_the_monitor_has_the_rate_of_the_controllers(tmp_path):
    """That of the file that they run from, shipped or one's own; one without it is refused."""
    assert float(told({'hardware': 'mock'}, 'jerk_monitor', tmp_path)['rate_hz']) == 1000.0
    content = (ROOT / 'config' / 'controllers.yaml').read_text()
    own, without = tmp_path / 'own.yaml', tmp_path / 'without.yaml'
    own.write_text(content.replace('update_rate: 1000', 'update_rate: 400'))
    without.write_text(content.replace('update_rate: 1000', 'other: 1'))
    given = {'hardware': 'mock', 'controllers': str(own)}
    assert float(told(given, 'jerk_monitor', tmp_path)['rate_hz']) == 400.0
    given['controllers'] = str(without)
    with pytest.raises(UserError, match=r'controllers:=.*has no update_rate.*joint_rate_hz'):
        make_plan(LAUNCH / 'deploy.launch.py', given)
    given['controllers'] = str(tmp_path / 'nowhere.yaml')
    with pytest.raises(UserError, match=r'controllers:=.*nowhere\.yaml: No such file'):
        make_plan(LAUNCH / 'deploy.launch.py', given)


@pytest.mark.usefixtures('fake_xacro')
def test_the_controller_of_the_parameter_file_is_the_one_that_is_activated(tmp_path):
    """Guard and spawner would else speak of two, and nothing would move."""
    streamed = {'controller': 'forward_position_controller', 'controller_rate_hz': 250.0}
    given = {'hardware': 'mock'} | config_file(tmp_path, motion_guard=streamed)
    active, inactive = spawned(given)
    assert 'forward_position_controller' in active
    assert inactive == ['joint_trajectory_controller']
    active, inactive = spawned(given | {'controller': 'joint_trajectory_controller'})
    assert 'joint_trajectory_controller' in active
    assert inactive == ['forward_position_controller']
    # The twin's rates follow from it, as they do from the argument.
    twin = config_file(tmp_path, motion_guard={'controller': 'forward_position_controller'})
    assert told(twin, 'motion_guard', tmp_path)['rate_hz'] == 500.0


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    ('given', 'guard', 'spawns'),
    [
        ({'hardware': 'mock'}, {}, True),
        ({'hardware': 'mock'}, {'gripper': 'positions'}, True),
        ({'hardware': 'mock'}, {'gripper': 'none'}, False),
        ({'hardware': 'real'}, {'gripper': 'positions'}, False),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'positions'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'joint_trajectory'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'gripper_command'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper_topic': 'fingers/go'}, False),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'none'}, False),
    ],
)
def test_a_gripper_of_ros2_control_has_its_controller(given, guard, spawns, tmp_path):
    """Wherever the guard commands gripper_controller, there is one that listens."""
    active, _ = spawned(given | {'robot_ip': '1.2.3.4'} | config_file(tmp_path, motion_guard=guard))
    assert ('gripper_controller' in active) is spawns


def test_beside_an_arm_of_ones_own_there_is_one_robot(tmp_path):
    """The file is training's, with two; monitor and viewer agree on where its joints are."""
    for given, robots in (({}, '1'), ({'robots': '3'}, '3')):
        plan = make_plan(LAUNCH / 'monitor.launch.py', {'viewer': 'rerun'} | given)
        assert len(plan.nodes) == 2
        for node in plan.nodes:
            words = ' '.join(str(item.get('values')) for item in parameters(node, tmp_path))
            assert f"'robots': '{robots}'" in words
    plan = make_plan(
        LAUNCH / 'monitor.launch.py', {'viewer': 'rerun', 'joint_states': '/joint_states'}
    )
    for node in plan.nodes:
        words = ' '.join(str(item.get('values')) for item in parameters(node, tmp_path))
        assert "'joint_states': '/joint_states'" in words


def test_another_terminal_is_told_where_to_listen(monkeypatch, capsys):
    """Without a domain given, a launch takes one of its own, and nobody else would hear it."""
    for name in (command.DOMAIN, command.DISCOVERY):
        monkeypatch.delenv(name, raising=False)
    with command._environment():
        domain = os.environ[command.DOMAIN]
    assert f'export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST' in (
        capsys.readouterr().out
    )
    monkeypatch.setenv(command.DOMAIN, '7')
    with command._environment():
        assert os.environ[command.DOMAIN] == '7'
    assert not capsys.readouterr().out
