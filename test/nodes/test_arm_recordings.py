"""A real arm's episodes become training data: policy, labels and recorder over DDS, then a trainer.

Arm and guard are played by a driver: it moves, shows images, and says which chunks it took.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nodes.episodes import Episodes
from smoothvla_ros.nodes.policy.node import PolicyNode
from smoothvla_ros.nodes.recorder import BagRecorder
from smoothvla_ros.nodes.topics.image_conversion import to_image_message
from smoothvla_ros.nodes.topics.messages import to_joint_state
from smoothvla_ros.nodes.topics.quality_of_service import profiles, with_depth
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.srv import LabelEpisode
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.workflows.training.arm_recordings import read_recordings
from smoothvla_ros.workflows.training.arm_training import POLICY, ArmRolloutSource, train_from_arm

REST = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
# A busy machine takes minutes to import and load what a policy needs.
pytestmark = pytest.mark.timeout(600)
EPISODE_S = 1.6
PERIOD_NS = 10_000_000
SHA256 = folder_sha256(policy_folder('default'))


class ArmWorld:
    """The nodes of a deployment that is recorded, around an arm that sways."""

    def __init__(self, path: Path, temperature: float):
        values = {
            'graph': 'real_arm',
            'robots': 1,
            'policy': 'default',
            'instruction': 'pick up the bowl',
            'temperature': temperature,
            'record_rollouts': True,
            # A busy machine takes its time over an inference, and nothing here depends on it.
            'max_age_s': 10.0,
            'max_skew_s': 0.2,
        }
        self.policy = PolicyNode(parameter_overrides=_parameters(values))
        self.episodes = Episodes(namespace='robot_0')
        self.recorder = BagRecorder(
            parameter_overrides=_parameters({'recording': str(path), 'poll_period_s': 0.05})
        )
        self.driver = driver = Node('driver')
        quality = profiles('real_arm')
        self.joints = driver.create_publisher(
            JointState, 'robot_0/joint_states', quality.joint_states
        )
        self.images = [
            driver.create_publisher(Image, f'robot_0/camera/{name}/image_raw', quality.image)
            for name in ('agentview', 'wrist')
        ]
        self.states = driver.create_publisher(
            msg.GuardState, 'robot_0/motion_guard/state', quality.status
        )
        driver.create_subscription(
            msg.ActionChunk, 'robot_0/action_chunk', self._take, with_depth(quality.command, 10)
        )
        self.labels = driver.create_client(LabelEpisode, 'robot_0/episodes/label')
        self.chunk, self.taken, self.executing, self.said = None, 0, False, 0
        self._due_ns = self._shown_ns = time.time_ns()
        self.executor = SingleThreadedExecutor()
        self.nodes = (self.policy, self.episodes, self.recorder, driver)
        for node in self.nodes:
            self.executor.add_node(node)
        for node in self.nodes[:3]:
            node.autostart()
        # Guard and arm speak from the beginning, and the recorder hears all of it.
        topics = ('joint_states', 'motion_guard/state', 'action_chunk', 'episode_label')
        wanted = {f'/robot_0/{topic}' for topic in topics} | {'/rollout_step', '/policy_in_use'}
        self._until(lambda: wanted <= self.recorder._recorded and self.labels.service_is_ready())

    def play(self, seconds: float, sway: float) -> None:
        """Arm, move for a while once the policy answers, disarm."""
        self.executing, self.chunk = True, None
        self._until(lambda: self.chunk is not None, sway)
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() > end, sway)
        self.executing = False
        self._until_ended()
        self.said += 1

    def label(self, outcome: str, episode_id: str = '') -> LabelEpisode.Response:
        """Call the service as an operator does."""
        request = LabelEpisode.Request(outcome=outcome, episode_id=episode_id)
        future = self.labels.call_async(request)
        self._until(future.done)
        self.said += future.result().success
        return future.result()

    def close(self) -> None:
        """Write the index of the recording and end."""
        end = time.monotonic() + 0.5
        counts = self.recorder._writer.counts
        self._until(
            lambda: time.monotonic() > end and counts.get('/robot_0/episode_label') == self.said
        )
        for node in self.nodes[:3]:
            node.stop()
        for node in self.nodes:
            node.destroy_node()

    def _take(self, chunk: msg.ActionChunk) -> None:
        if self.executing and not chunk.refusal:
            self.chunk, self.taken = chunk, self.taken + 1
            # As the guard does: before its next tick another may be taken.
            self._say(time.time_ns())

    def _until_ended(self) -> None:
        before = len(self.episodes._keeper._ended)
        self._until(lambda: len(self.episodes._keeper._ended) > before)

    def _until(self, condition, sway: float = 0.0) -> None:
        """Be an arm at 100 Hz with cameras and guard at 20 Hz until something is so."""
        wait_until(condition, turn=lambda: self._be_an_arm(sway))

    def _be_an_arm(self, sway: float) -> None:
        # Every sample that is due: an arm's driver leaves none out, however busy this one is.
        while self._due_ns <= time.time_ns():
            self._move(self._due_ns, sway)
            self._due_ns += PERIOD_NS
        self._show(self._due_ns - PERIOD_NS)
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            # Another time-out each time would begin another round, and starve the last node.
            self.executor.spin_once(timeout_sec=0.005)

    def _move(self, now_ns: int, sway: float) -> None:
        moment = (now_ns % 10**12) * 1e-9
        positions = REST + sway * np.sin(5.0 * moment + np.arange(7))
        names = (*panda_description().joints, *PANDA_GRIPPER_JOINTS)
        fingers = np.array([0.04, 0.04])
        self.joints.publish(to_joint_state(now_ns, names, positions, 0 * positions, fingers))

    def _show(self, now_ns: int) -> None:
        if now_ns - self._shown_ns < 5 * PERIOD_NS:
            return
        self._shown_ns = now_ns
        for publisher in self.images:
            image = to_image_message(np.full((128, 128, 3), now_ns // PERIOD_NS % 255, np.uint8))
            image.header.stamp = to_stamp(now_ns)
            publisher.publish(image)
        self._say(now_ns)

    def _say(self, now_ns: int) -> None:
        state = msg.GuardState(phase=0, chunks=self.taken)
        if self.chunk is not None:
            if self.executing:
                state.phase = msg.GuardState.PHASE_RUNNING
            state.epoch, state.seq = self.chunk.epoch, self.chunk.seq
        state.header.stamp = to_stamp(now_ns)
        self.states.publish(state)


def _parameters(values):
    return [Parameter(name, value=value) for name, value in values.items()]


@pytest.fixture(scope='module')
def bag(ros, tmp_path_factory):
    """Six episodes: two good, one bad, one discarded, one that nobody labelled, one re-labelled."""
    path = tmp_path_factory.mktemp('arm') / 'bag'
    world = ArmWorld(path, temperature=0.5)
    assert 'no episode has ended yet' in world.label('success').message
    for sway, outcome in ((0.01, 'success'), (0.03, 'success'), (0.02, 'failure')):
        world.play(EPISODE_S, sway)
        assert world.label(outcome).success
    world.play(EPISODE_S, 0.02)
    assert world.label('failure').success
    assert world.label('discard').success
    world.play(EPISODE_S, 0.02)
    world.close()
    return path


def test_labelled_episodes_are_whole(bag):
    """Each with its steps, tokens, observations and motion; the others counted, with the reason."""
    found = read_recordings([bag], SHA256, Arm.panda())
    assert found.line() == ('3 episodes: 2 success, 1 failure; left out: 1 discarded, 1 unlabelled')
    for rollout in found.rollouts:
        steps = sum(rollout.chunks.executed)
        assert rollout.trajectory.steps == steps
        assert steps == pytest.approx(EPISODE_S / 0.05, abs=10)
        assert rollout.temperature == 0.5
        assert rollout.trajectory.actions.shape == (steps, 7)
        for decision in rollout.decisions:
            assert decision.tokens.shape == decision.log_probs.shape == (8, 7)
            assert decision.observation.images['wrist'].shape == (128, 128, 3)
    sways = [np.ptp(rollout.trajectory.joint_positions[:, 0]) for rollout in found.rollouts]
    np.testing.assert_allclose(sways, [0.02, 0.06, 0.04], rtol=0.2)


def test_a_trainer_learns_from_them(bag, tmp_path):
    """One update through the trainer itself; recorded and present log-probabilities agree."""
    config = TrainConfig(output=tmp_path / 'out', reward='smooth', frozen=())
    figures = train_from_arm(config, [bag], Arm.panda())
    assert figures['episodes'] == 3
    assert figures['success'] == pytest.approx(2 / 3)
    assert figures['groups_kept'] == 1
    before = load_policy('default').module.state_dict()
    after = load_policy(tmp_path / 'out' / POLICY).module.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    # The one update is as large as the first of a training, whatever the end of one is like.
    cooled = dataclasses.replace(config, output=tmp_path / 'cooled', cool_down_iterations=14)
    train_from_arm(cooled, [bag], Arm.panda())
    same = load_policy(tmp_path / 'cooled' / POLICY).module.state_dict()
    assert all(torch.equal(after[name], same[name]) for name in after)
    source = ArmRolloutSource(read_recordings([bag], SHA256, Arm.panda()), 0)
    (plan,) = source.groups(1)
    policy = load_policy('default')
    for episode in source.collect(plan.requests):
        for chunk in episode.chunks:
            found = policy.evaluate([chunk.observation], chunk.tokens[None], temperature=0.5)
            np.testing.assert_allclose(
                found.log_probs.detach().numpy()[0], chunk.log_probs, atol=1e-5
            )
    with pytest.raises(UserError, match='is not an empty folder'):
        train_from_arm(config, [bag], Arm.panda())


def test_recordings_of_other_weights_are_refused(bag):
    """A policy that did not play these episodes must not learn from them."""
    with pytest.raises(UserError, match=r'recorded with other weights \(.*…\) than .*\(ffff'):
        read_recordings([bag], 'f' * 64, Arm.panda())


def test_one_episode_of_an_instruction_is_compared_with_nothing(bag):
    """GRPO learns from what sets one apart from another."""
    found = read_recordings([bag], SHA256, Arm.panda())
    found.rollouts[0] = dataclasses.replace(found.rollouts[0], instruction='open the drawer')
    assert ArmRolloutSource(found, 0).instructions == ('pick up the bowl',)
    assert found.left_out['alone with its instruction'] == 1
    found.rollouts = found.rollouts[:1]
    with pytest.raises(UserError, match='no instruction has two labelled episodes'):
        ArmRolloutSource(found, 0)


def test_held_out_scenes_of_the_twin_are_refused(ros, tmp_path):
    """What evaluation is to find new must not be learnt from, here as little as in training."""
    world = ArmWorld(tmp_path / 'bag', temperature=0.5)
    scenes = world.driver.create_publisher(
        msg.EpisodeState, 'robot_0/episode_state', profiles('real_arm').state
    )
    (name,) = episode_names('libero_object', 0, Split.HELD_OUT, 1, seed=0)
    identity = f'{name.suite}/{name.task}/{name.init_state}/{name.scene_seed}'
    scenes.publish(msg.EpisodeState(episode_id=identity, suite=name.suite, task=name.task))
    world._until(lambda: '/robot_0/episode_state' in world.recorder._recorded)
    world.play(0.8, 0.02)
    assert world.label('success').success
    world.close()
    with pytest.raises(UserError, match=r'held out.*deploy the twin with split:=train'):
        read_recordings([tmp_path / 'bag'], SHA256, Arm.panda())


def test_a_greedy_recording_is_refused(ros, tmp_path):
    """What never tries anything else teaches nothing, and the remedy is named."""
    world = ArmWorld(tmp_path / 'bag', temperature=0.0)
    world.play(0.8, 0.02)
    assert world.label('success').success
    world.close()
    with pytest.raises(UserError, match=r'played greedily.*temperature:=0\.3'):
        read_recordings([tmp_path / 'bag'], SHA256, Arm.panda())
