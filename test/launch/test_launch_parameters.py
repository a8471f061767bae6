"""What a launch tells its nodes, by an argument or by the file: alike to all that it concerns."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from launch_plans import LAUNCH, ROOT, config_file, parameters, told

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.plan import make_plan
from smoothvla_ros.simulation.workers import robot_count

pytestmark = pytest.mark.usefixtures('elsewhere')


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
