"""Policies in another program: asked as openpi's clients ask, and every failure one line."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fake_policy_server import FakePolicyServer

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.reworded_policy import RewordedPolicy
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.image_size import image_size
from smoothvla_ros.policies.libero_actions import require_libero_actions
from smoothvla_ros.policies.libero_frames import TABLE
from smoothvla_ros.policies.policy import give_up
from smoothvla_ros.policies.policy_server.connection import API_KEY
from smoothvla_ros.policies.policy_server.messages import pack, unpack
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource

JOINTS = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
INSTRUCTION = 'turn on the stove'

# What openpi_client 0.1.2 packs: {'observation/state': float64 [0.5, -1], 'observation/image':
# uint8 [[[0, 1, 2], [3, 4, 5]]], 'prompt': 'open it'}.
QUESTION = bytes.fromhex(
    '83b16f62736572766174696f6e2f737461746584c40b5f5f6e6461727261795f5fc3c40464617461c4100000'
    '00000000e03f000000000000f0bfc4056474797065a33c6638c40573686170659102b16f6273657276617469'
    '6f6e2f696d61676584c40b5f5f6e6461727261795f5fc3c40464617461c406000102030405c4056474797065'
    'a37c7531c405736861706593010203a670726f6d7074a76f70656e206974'
)
# {'actions': float32 [[0.25, -0.5]], 'server_timing': {'infer_ms': 12.5}, 'n': float32 2}.
ANSWER = bytes.fromhex(
    '83a7616374696f6e7384c40b5f5f6e6461727261795f5fc3c40464617461c4080000803e000000bfc4056474'
    '797065a33c6634c4057368617065920102ad7365727665725f74696d696e6781a8696e6665725f6d73cb4029'
    '000000000000a16e83c40d5f5f6e7067656e657269635f5fc3c40464617461cb4000000000000000c4056474'
    '797065a33c6634'
)


def actions(steps=10, value=0.25):
    """Return an answer whose actions tell which step they are of."""
    return {'actions': np.full((steps, 7), value, np.float32) * np.arange(steps)[:, None] / steps}


def observation(**changes):
    """Return one whose images are brighter to the right and to the bottom."""
    rows, columns = np.mgrid[0:256, 0:256].astype(np.uint8)
    images = {
        'agentview': np.stack([rows, columns, np.zeros_like(rows)], axis=-1),
        'wrist': np.stack([columns, rows, np.zeros_like(rows)], axis=-1),
    }
    seen = Observation(images, JOINTS, np.zeros(7), np.array([0.03, -0.03]), INSTRUCTION)
    return replace(seen, **changes)


def folder_of(tmp_path, address, **settings):
    (tmp_path / 'config.json').write_text(
        json.dumps({'type': 'policy_server', 'address': address, **settings})
    )
    return tmp_path


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts a server and loads the policy that asks it."""
    servers = []

    def started(answer, **settings):
        servers.append(FakePolicyServer(answer))
        return servers[-1], load_policy(folder_of(tmp_path, servers[-1].address, **settings))

    yield started
    for server in servers:
        server.stop()


def act(policy, *observations):
    return policy.act(observations, temperature=0.0, seeds=[0] * len(observations)).actions


def test_bytes_are_those_of_openpi():
    """Its own client packed them; ours must be told apart by nobody."""
    question = {
        'observation/state': np.array([0.5, -1.0]),
        'observation/image': np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
        'prompt': 'open it',
    }
    assert pack(question) == QUESTION
    answer = unpack(ANSWER, 'the server')
    assert answer['actions'].dtype == np.float32
    assert answer['actions'].tolist() == [[0.25, -0.5]]
    assert answer['server_timing'] == {'infer_ms': 12.5}
    assert answer['n'] == np.float32(2.0)
    assert isinstance(answer['n'], np.float32)


def test_question_is_that_of_openpi_for_libero(serve):
    """Names, kinds, the mirrored view at 224 pixels, and where the tool is in the scene."""
    server, policy = serve(lambda _: actions())
    act(policy, observation())
    (question,) = server.questions
    assert set(question) == {
        'observation/image',
        'observation/wrist_image',
        'observation/state',
        'prompt',
    }
    assert question['prompt'] == INSTRUCTION
    for name, right in (('observation/image', 1), ('observation/wrist_image', 0)):
        image = question[name]
        assert (image.dtype, image.shape) == (np.uint8, (224, 224, 3))
        assert image[112, 0, right] > 250 > 5 > image[112, -1, right]
        assert image[0, 112, 1 - right] < 5 < 250 < image[-1, 112, 1 - right]
    position, _ = Arm.panda().tool_pose(JOINTS)
    state = question['observation/state']
    assert np.allclose(state[:3], position + TABLE)
    assert np.allclose(state[6:], [0.03, -0.03])
    assert state.shape == (8,)


def test_real_arm_is_seen_as_it_is_and_told_in_its_own_base(serve):
    """A camera of one's own is not mirrored, and no scene of LIBERO is asked for."""
    server, policy = serve(lambda _: actions(), mirrored=False, frame='base', image_size=256)
    seen = observation(instruction='fold the towel')
    act(policy, seen)
    (question,) = server.questions
    assert np.array_equal(question['observation/image'], seen.images['agentview'])
    assert np.allclose(question['observation/state'][:3], Arm.panda().tool_pose(JOINTS)[0])


def test_a_policy_of_a_real_arm_is_asked_and_answers_in_joints(serve):
    """Names, state and gripper as openpi's UR5 example has them: joints and one finger apart."""
    answer = np.tile(np.append(JOINTS + 0.01, 0.75), (10, 1)).astype(np.float32)
    server, policy = serve(
        lambda _: {'actions': answer},
        state='joints',
        image_name='base_rgb',
        wrist_image_name='wrist_rgb',
        state_name='joints',
        gripper_name='gripper',
        action_space='joint_positions',
        gripper_open=0.0,
        gripper_closed=1.0,
        mirrored=False,
    )
    given = act(policy, observation(gripper_positions=np.array([0.4])))
    (question,) = server.questions
    assert set(question) == {'base_rgb', 'wrist_rgb', 'joints', 'gripper', 'prompt'}
    assert np.array_equal(question['joints'], JOINTS)
    assert question['gripper'].tolist() == [0.4]
    assert policy.spec.action_space == 'joint_positions'
    assert given.shape == (1, 5, 8)
    assert np.allclose(given[0, 0], np.append(JOINTS + 0.01, 0.5))
    with pytest.raises(UserError, match=r"'joint_positions'; LIBERO takes 7"):
        require_libero_actions(policy.spec, 'my arm')


@pytest.mark.parametrize('space', ['libero_osc_pose', 'joint_positions'])
@pytest.mark.parametrize(('number', 'said'), [(np.inf, 'not finite'), (255.0, 'answered 509')])
def test_a_gripper_that_is_no_number_of_its_range_is_refused(serve, space, number, said):
    """Clipped, a network that broke down would close the gripper for good."""
    answer = np.zeros((5, 7 + (space == 'joint_positions')))
    answer[:, -1] = number
    ends = {'gripper_open': 0.0, 'gripper_closed': 1.0}
    _, policy = serve(lambda _: {'actions': answer}, action_space=space, **ends)
    with pytest.raises(UserError, match=said):
        act(policy, observation())


def test_joints_and_fingers_may_be_one_state(serve):
    """Many servers take one vector; the fingers come last, as LIBERO's do."""
    server, policy = serve(lambda _: actions(), state='joints')
    act(policy, observation())
    assert server.questions[0]['observation/state'].tolist() == [*JOINTS, 0.03, -0.03]


def test_chunk_is_the_first_of_the_answer_and_one_question_an_observation(serve):
    """Five of ten by default, as openpi plays LIBERO; a batch is asked one after another."""
    server, policy = serve(lambda question: actions(value=len(question['prompt']) / 100))
    both = act(policy, observation(), observation(instruction='put the bowl on the stove'))
    assert both.shape == (2, 5, 7)
    for row, prompt in zip(both, ('turn on the stove', 'put the bowl on the stove'), strict=True):
        assert np.allclose(row[:, 0], len(prompt) / 100 * np.arange(5) / 10)
    first, _ = server.questions
    assert first['prompt'] == INSTRUCTION


def test_instruction_that_is_no_task_of_libero_is_told_what_to_set(serve):
    """On an arm every observation is refused until the folder says what positions are told in."""
    _, policy = serve(lambda _: actions())
    with pytest.raises(UserError, match=r"'fold the towel'.*set frame in.*'base'") as raised:
        act(policy, observation(instruction='fold the towel'))
    assert '\n' not in str(raised.value)


def test_size_of_the_images_is_known_without_a_server(tmp_path):
    """A launch file asks for it before anything runs."""
    assert image_size(folder_of(tmp_path, 'ws://127.0.0.1:9')) == 256


def test_server_that_was_started_again_is_asked_again(tmp_path):
    """An evaluation goes on; what it asked before is not asked twice."""
    with FakePolicyServer(lambda _: actions()) as first:
        policy = load_policy(folder_of(tmp_path, first.address))
        act(policy, observation())
    with FakePolicyServer(lambda _: actions(value=0.5), first.port) as second:
        assert act(policy, observation())[0, 4, 0] == pytest.approx(0.2)
        assert (len(first.questions), len(second.questions)) == (1, 1)


def test_key_comes_from_the_environment(serve, monkeypatch):
    """And is sent as openpi's servers behind a gateway expect it."""
    monkeypatch.setenv(API_KEY, 'secret')
    assert serve(lambda _: actions())[0].keys == ['Api-Key secret']
    monkeypatch.delenv(API_KEY)
    assert serve(lambda _: actions())[0].keys == [None]


@pytest.mark.parametrize('key', ['sec\nret', 'sécret'])
def test_key_that_none_can_be_is_named_and_not_shown(serve, monkeypatch, key):
    """A line break of a copied file: the error is read by more people than the key is for."""
    monkeypatch.setenv(API_KEY, key)
    with pytest.raises(UserError, match=f'{API_KEY} holds .* set it again') as raised:
        serve(lambda _: actions())
    assert 'ret' not in str(raised.value).replace(API_KEY, '')


@pytest.mark.parametrize(
    ('answer', 'said'),
    [
        ('Traceback\n  File "x"\nKeyError: state\n', 'failed: KeyError: state; look at its log'),
        ('', 'it does not say why'),
        (b'\xc1', 'no message of a policy server'),
        (pack({}), 'without an array "actions"'),
        (b'\x93\x01\x02\x03', 'sent list'),
        (pack({'actions': [[0.0] * 7] * 5}), 'without an array "actions"'),
        (pack(actions(4)), r'shape \[4, 7\], needed are \[5 or more, 7\] in action space lib'),
        (pack({'actions': np.zeros((10, 8))}), r'shape \[10, 8\]'),
        (pack({'actions': np.full((10, 7), np.nan)}), 'not finite'),
        (ANSWER.replace(b'<f4', b'|O8'), "dtype '|O8' is not one of numbers"),
        (ANSWER.replace(b'<f4', b'(2,'), 'no message of a policy server'),
        (
            pack({'n': np.int8(3)}).replace(b'\x03\xc4', b'\xcd\x01\x2c\xc4'),
            'out of bounds for int8',
        ),
        (ANSWER.replace(b'\x92\x01\x02', b'\x92\x01\x03'), 'no message of a policy server'),
        (None, 'closed the connection'),
    ],
)
def test_answer_that_cannot_be_used_is_one_line(serve, answer, said):
    """Whatever the server sends; the next question is asked as if nothing had been."""
    answers = [answer, answer, actions()] if answer is None else [answer, actions()]
    _, policy = serve(lambda _: answers.pop(0))
    with pytest.raises(UserError, match=said) as raised:
        act(policy, observation())
    assert '\n' not in str(raised.value)
    assert act(policy, observation()).shape == (1, 5, 7)


def test_late_answer_is_not_taken_for_that_of_the_next_question(serve):
    """Another connection: what still comes on the one before is heard by nobody."""
    late = threading.Event()
    waits = [lambda: late.wait(30.0), lambda: None]

    def answer(question):
        waits.pop(0)()
        return actions(value=float(len(question['prompt'])) / 100)

    _, policy = serve(answer, timeout_s=0.3)
    with pytest.raises(UserError, match=r'did not answer in 0\.3 s'):
        act(policy, observation())
    late.set()
    asked = observation(instruction='put the bowl on the stove')
    assert act(policy, asked)[0, 4, 0] == pytest.approx(0.25 * 4 / 10)


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'address': 'http://127.0.0.1:8000'}, "address='http://127.0.0.1:8000' is no ws://"),
        ({'address': 'ws://127.0.0.1:9'}, 'does not answer'),
        ({'address': 'ws://no host'}, 'does not answer'),
        ({'address': 'ws://127.0.0.1:80000'}, r'does not answer.*Port out of range'),
        ({'address': 'ws://[::1'}, r'does not answer.*Invalid IPv6'),
        ({'address': 'ws://gpu..box:8000'}, r'does not answer.*label empty'),
        ({'address': 'ws://127.0.0.1:9', 'timeout_s': 1e300}, r'timeout_s=1e\+300 is too large'),
        ({'address': 'ws://127.0.0.1:9', 'chunk': 0}, 'chunk=0 is too small'),
        ({'address': 'ws://127.0.0.1:9', 'frame': 'kitchen'}, "frame='kitchen'"),
        ({'address': 'ws://127.0.0.1:9', 'gripper_open': 1.0}, 'gripper_closed are both 1'),
        ({'address': 'ws://127.0.0.1:9', 'state_name': 'prompt'}, 'each a name of its own'),
        ({'address': 'ws://127.0.0.1:9', 'wrist_image_name': ''}, 'each a name of its own'),
        ({'address': 'ws://127.0.0.1', 'port': 8000}, "unknown setting 'port'"),
        ({}, "'address' is missing"),
    ],
)
def test_folder_that_cannot_be_used_is_one_line(tmp_path, settings, said):
    """A wrong setting, or nobody there: before anything moves."""
    (tmp_path / 'config.json').write_text(json.dumps({'type': 'policy_server', **settings}))
    with pytest.raises(UserError, match=said) as raised:
        load_policy(tmp_path)
    assert '\n' not in str(raised.value)
    if 'answer' not in said:
        # Of the two of a comparison it could be either.
        assert str(tmp_path / 'config.json') in str(raised.value)


def test_tunnel_whose_other_end_is_closed_does_not_answer(tmp_path):
    """It takes the connection and hangs up: ssh's, or a container's without its server."""
    with socket.create_server(('127.0.0.1', 0)) as tunnel:

        def hang_up():
            tunnel.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(UserError, match=r'does not answer.*; start it, or mend address'):
            load_policy(folder_of(tmp_path, f'ws://127.0.0.1:{tunnel.getsockname()[1]}'))
        thread.join()


def test_question_that_is_given_up_ends_at_once(serve):
    """Ctrl-C waited for the server's answer, two minutes for every robot, before it was heard."""
    asked, late = threading.Event(), threading.Event()

    def answer(_):
        asked.set()
        late.wait(30.0)
        return actions()

    _, policy = serve(answer)
    with ThreadPoolExecutor(1) as executor:
        pending = executor.submit(
            act, RewordedPolicy(policy, {INSTRUCTION: INSTRUCTION}), observation()
        )
        assert asked.wait(10.0)
        give_up(RewordedPolicy(policy, {}))
        with pytest.raises(UserError, match='is not asked any more'):
            pending.result(10.0)
        late.set()
    with pytest.raises(UserError, match='is not asked any more'):
        act(policy, observation())


def test_it_is_played_and_not_trained(serve):
    """There are no log-probabilities to learn from."""
    _, policy = serve(lambda _: actions())
    with pytest.raises(UserError, match='cannot be trained'):
        policy.prepare_training()


def test_it_plays_an_episode_of_libero(tmp_path):
    """Through the evaluation's own loop: a process of its own asks, and the arm obeys."""
    lift = np.tile([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, -1.0], (10, 1))
    with FakePolicyServer(lambda _: {'actions': lift}) as server:
        folder = folder_of(tmp_path, server.address)
        name = EpisodeName('libero_goal', 7, 0, 0)
        request = EpisodeRequest('asked', name, 0, 0.0, 0, 0, horizon=10)
        with ProcessRolloutSource(load_policy, 1, RenderSettings('fast', 256)) as source:
            source.update_policy(0, folder, folder_sha256(folder))
            (episode,) = source.collect([request])
    arm = Arm.panda()
    heights = [arm.tool_pose(joints)[0][2] for joints in episode.trajectory.substep_joint_positions]
    assert len(server.questions) == 2
    assert heights[-1] - heights[0] > 0.05
    assert {question['prompt'] for question in server.questions} == {INSTRUCTION}
