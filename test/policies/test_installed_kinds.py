"""A policy kind that another package brings: the documented one, as pip would install it."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.action_policy import ActionPolicy
from smoothvla_ros.policies.checked_answer import checked_answer
from smoothvla_ros.policies.image_size import image_size
from smoothvla_ros.policies.installed_kinds import GROUP, installed_kinds, require_same_kind
from smoothvla_ros.policies.libero_actions import require_libero_actions, require_temperatures
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource

DOCUMENT = Path(__file__).parents[2] / 'docs' / 'policy.md'


def documented(language: str) -> str:
    """Return the block of code of the document's section on other policies."""
    section = DOCUMENT.read_text().partition('## Another policy')[2]
    found = re.findall(rf'```{language}\n(.*?)```', section, re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a module and its entry point where pip puts them."""

    def put(code: str, module: str, entries: dict[str, str]) -> None:
        site = tmp_path / f'site_{module}'
        information = site / f'{module}-0.1.dist-info'
        information.mkdir(parents=True)
        (site / f'{module}.py').write_text(code)
        (information / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {module}\n')
        lines = [f'{name} = {value}' for name, value in entries.items()]
        (information / 'entry_points.txt').write_text('\n'.join([f'[{GROUP}]', *lines, '']))
        monkeypatch.syspath_prepend(site)
        sys.modules.pop(module, None)  # that of another test

    return put


@pytest.fixture
def lab_folder(tmp_path):
    """Return a policy folder of the documented kind, with files that OpenVLA's have too."""
    folder = tmp_path / 'lab'
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps({'type': 'lab_vla'}))
    (folder / 'tokenizer.json').write_text('{}')
    return folder


@pytest.fixture
def documented_kind(install):
    """Install the example of docs/policy.md."""
    entries = tomllib.loads(documented('toml'))['project']['entry-points'][GROUP]
    install(documented('python'), 'lab_vla', entries)


def observation() -> Observation:
    """Return what a robot sees: black images."""
    images = {name: np.zeros((224, 224, 3), np.uint8) for name in ('agentview', 'wrist')}
    return Observation(images, np.zeros(7), np.zeros(7), np.zeros(2), 'pick up the bowl')


def test_the_documented_kind_is_loaded_by_what_its_folder_says(documented_kind, lab_folder):
    """Also beside a file that OpenVLA's folders have, and without loading for the image size."""
    policy = load_policy(lab_folder)
    assert type(policy).__name__ == 'LabVLA'
    assert image_size(lab_folder) == policy.spec.image_size == 224
    answer = policy.act([observation()] * 2, temperature=0.0, seeds=[1, 2])
    assert checked_answer(answer, policy.spec, 2).actions.shape == (2, 8, 7)


def test_the_documented_kind_plays_in_the_simulator(documented_kind, lab_folder):
    """Loaded by its folder alone, with the images it asks for, it answers every chunk of LIBERO."""
    spec = load_policy(lab_folder).spec
    render = RenderSettings('fast', spec.image_size, spec.cameras)
    name = EpisodeName('libero_object', 0, 0, 0)
    with ProcessRolloutSource(load_policy, 1, render) as source:
        source.update_policy(0, lab_folder, folder_sha256(lab_folder))
        (episode,) = source.collect([EpisodeRequest('e', name, 0, 0.0, 5, 0, horizon=16)])
    assert [chunk.executed for chunk in episode.chunks] == [8, 8]
    assert not episode.success


def test_a_folder_whose_kind_nobody_brings_is_refused_with_what_is_there(
    documented_kind, lab_folder
):
    """The line names what the folder says, which kinds there are, and where to read on."""
    (lab_folder / 'config.json').write_text(json.dumps({'type': 'smolvla'}))
    for ask in (load_policy, image_size):
        with pytest.raises(UserError, match=r"it is 'smolvla'.*brings \('lab_vla'\).*policy\.md"):
            ask(lab_folder)


def test_our_own_kinds_are_not_taken_over(install):
    """A package that names itself as ours loads nothing of ours."""
    install('load = image_size = print\n', 'impostor', {'smoothvla_small': 'impostor'})
    assert 'smoothvla_small' in installed_kinds()
    assert image_size('default') == 128


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        (
            'import a_module_that_is_not_there\n',
            'cannot be imported: ModuleNotFoundError: No module named',
        ),
        ('def load(folder, device, arm): ...\n', "has no function 'image_size'"),
    ],
)
def test_a_package_that_cannot_bring_its_kind_is_named(code, message, install, lab_folder):
    """One line with the package, not a traceback out of importlib."""
    install(code, 'broken_lab', {'lab_vla': 'broken_lab'})
    with pytest.raises(UserError, match=rf'broken_lab of broken_lab.*{message}'):
        load_policy(lab_folder)


def test_two_packages_that_bring_one_kind_are_named(documented_kind, install, lab_folder):
    """Which of them runs would be chance."""
    install(documented('python'), 'other_lab', {'lab_vla': 'other_lab'})
    with pytest.raises(UserError, match='lab_vla of lab_vla and other_lab of other_lab'):
        load_policy(lab_folder)


class Given(ActionPolicy):
    """Answers what it was given."""

    def __init__(self, answer: np.ndarray, *space) -> None:
        super().__init__(2, ('agentview',), 64, *space)
        self._answer = answer

    def actions(self, observations, seeds):
        return self._answer


def test_actions_beyond_the_range_are_clipped_and_a_number_that_is_none_is_refused():
    """Networks overshoot the range a little, which LIBERO clips; NaN would be full deflection."""
    answer = np.full((1, 2, 7), 1.2)
    chunks = Given(answer).act([observation()], temperature=0.0, seeds=[0])
    assert (chunks.actions == 1.0).all()
    assert (chunks.tokens == 255).all()
    answer[0, 1, 3] = np.nan
    with pytest.raises(UserError, match='Given answered a number that is not finite'):
        Given(answer).act([observation()], temperature=0.0, seeds=[0])


def test_an_answer_in_other_units_is_refused_and_not_clipped():
    """Joints in rad, clipped to [-1, 1], would be tool motion at full command."""
    with pytest.raises(
        UserError, match=r'answered 2\.445 in .*; bring it .* \(joint_positions for'
    ):
        Given(np.full((1, 2, 7), -2.445)).act([observation()], temperature=0.0, seeds=[0])


def test_joints_are_answered_as_they_are():
    """A policy of a real arm has the range of its joints, which the guard knows."""
    answer = np.tile([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785, 1.0], (1, 2, 1))
    policy = Given(answer, 'joint_positions', 8)
    chunks = policy.act([observation()], temperature=0.0, seeds=[0])
    assert checked_answer(chunks, policy.spec, 1).actions.tolist() == answer.tolist()


def test_the_gripper_beside_joints_has_its_range():
    """What overshoots it is clipped; in other units each number but 0 would close or open."""
    answer = np.full((1, 2, 8), 1.2)
    chunks = Given(answer, 'joint_positions', 8).act([observation()], temperature=0.0, seeds=[0])
    assert chunks.actions[0, 0].tolist() == [1.2] * 7 + [1.0]
    with pytest.raises(UserError, match=r'answered 255 in .* joint_positions .* the gripper, to'):
        Given(255 * answer / 1.2, 'joint_positions', 8).act(
            [observation()], temperature=0.0, seeds=[0]
        )


def test_what_has_no_log_probabilities_is_neither_sampled_nor_trained(tmp_path):
    """Four ways to ask for them, each refused with the reason."""
    policy = Given(np.zeros((1, 2, 7)))
    for ask in (
        lambda: policy.act([observation()], temperature=1.0, seeds=[0]),
        lambda: policy.evaluate([observation()], np.zeros((1, 2, 7), int), temperature=1.0),
        policy.prepare_training,
        lambda: policy.save(tmp_path),
    ):
        with pytest.raises(UserError, match='has no log-probabilities'):
            ask()


SPEC = PolicySpec(4, 7, 256, 'libero_osc_pose', ('agentview',), 64)
RIGHT = {
    'actions': np.zeros((1, 4, 7)),
    'tokens': np.zeros((1, 4, 7), np.int64),
    'log_probs': np.zeros((1, 4, 7), np.float32),
}


@pytest.mark.parametrize('name', RIGHT)
def test_an_answer_of_another_shape_than_promised_is_named(name):
    """Broadcast or cut, it would move the arm otherwise than the policy said."""
    assert checked_answer(ActionChunks(**RIGHT), SPEC, 1).actions is RIGHT['actions']
    with pytest.raises(UserError, match=rf'P answered {name} of shape \[1, 3, 7\]; .* \[1, 4, 7\]'):
        checked_answer(ActionChunks(**(RIGHT | {name: RIGHT[name][:, :3]})), SPEC, 1, 'P')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'actions': np.full((1, 4, 7), 50.0)}, r'actions from 50 to 50; they lie in \[-1, 1\]'),
        ({'actions': np.full((1, 4, 7), np.nan)}, 'actions that are not finite'),
        ({'log_probs': np.full((1, 4, 7), 3.2)}, r'log_probs .* they lie in \[-inf, 0\]'),
        ({'tokens': np.full((1, 4, 7), 1004)}, r'tokens .* they lie in \[0, 255\]'),
        ({'tokens': np.full((1, 4, 7), 0.5)}, 'tokens as float64; give a NumPy array of whole'),
        ({'actions': [[[0.0] * 7] * 4]}, 'actions as list; give a NumPy array of floating'),
    ],
)
def test_an_answer_of_wrong_numbers_is_named(change, message):
    """LIBERO would clip them: what is learned from is then not what was done."""
    with pytest.raises(UserError, match=message):
        checked_answer(ActionChunks(**(RIGHT | change)), SPEC, 1)


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        (
            'raise RuntimeError("no CUDA\\nhere")',
            r'`load` of kind .lab_vla. failed: RuntimeError: no',
        ),
        ('return None', 'loaded NoneType, which has no spec; return a Policy'),
        (
            'policy = LabVLA(folder, device, arm); policy.spec = replace(policy.spec, chunk=0); '
            'return policy',
            'spec.chunk=0; give a whole number',
        ),
        (
            'policy = LabVLA(folder, device, arm); '
            'policy.spec = replace(policy.spec, image_size=64); '
            'return policy',
            r'image_size\(folder\) says 224 pixels and spec.image_size 64',
        ),
    ],
)
def test_what_a_kind_loads_wrongly_is_one_line_with_its_name(code, message, install, lab_folder):
    """Whatever its code does: also who is to mend it."""
    before, _, after = documented('python').partition('    return LabVLA(folder, device, arm)\n')
    install(
        f'from dataclasses import replace\n{before}    {code}\n{after}',
        'bad_lab',
        {'lab_vla': 'bad_lab'},
    )
    with pytest.raises(UserError, match=message) as error:
        load_policy(lab_folder)
    assert '\n' not in str(error.value)


def test_a_kind_is_given_an_arm_everywhere(documented_kind, lab_folder):
    """The Panda where nobody names one: a policy that asks for tool poses runs in LIBERO too."""
    position, _ = load_policy(lab_folder).arm.tool_pose(np.zeros(7))
    assert np.isfinite(position).all()


def test_an_action_policy_sees_images_of_its_size_whatever_the_camera_gives():
    """On an arm they come as they are, on a page that draws for two policies larger."""
    policy = Given(np.zeros((1, 2, 7)))
    seen = []
    policy.actions = lambda observations, seeds: seen.extend(observations) or np.zeros((1, 2, 7))
    policy.act([observation()], temperature=0.0, seeds=[0])
    assert seen[0].images['agentview'].shape == (64, 64, 3)
    with pytest.raises(UserError, match="no image of camera 'agentview'"):
        policy.act([replace(observation(), images={})], temperature=0.0, seeds=[0])


def test_a_save_that_forgets_its_kind_is_named(documented_kind, lab_folder, tmp_path):
    """No checkpoint of it could ever be loaded."""
    require_same_kind(lab_folder, lab_folder)
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(UserError, match=r"`save` of kind 'lab_vla' wrote no config.json"):
        require_same_kind(tmp_path, lab_folder)


def test_what_libero_cannot_play_is_refused():
    """Joint angles would be played as tool-pose deltas, and the failures be the policy's."""
    require_libero_actions(SPEC, 'mine')
    with pytest.raises(UserError, match="mine answers 7 numbers of action space 'joints'; LIBERO"):
        require_libero_actions(replace(SPEC, action_space='joints'), 'mine')
    require_temperatures(SPEC, 'mine', (0.0, 1.0))
    require_temperatures(replace(SPEC, samples=False), 'mine', (0.0,))
    with pytest.raises(UserError, match='no distribution to sample from at temperature 1'):
        require_temperatures(replace(SPEC, samples=False), 'mine', (0.0, 1.0))
