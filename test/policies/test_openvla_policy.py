"""OpenVLA behind the seam: exact log-probabilities, the traps of its formats, one-line errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_openvla
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.libero_frames import base_position
from smoothvla_ros.policies.libero_proprioception import (
    libero_proprioception,
    libero_rotation_vector,
)
from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.json_fields import Fields
from smoothvla_ros.policies.openvla.settings import detect
from smoothvla_ros.policies.openvla.statistics import Scaling, libero_commands

SEEDS = [11, 12, 13]
PARALLEL = {'decoding': 'parallel', 'chunk': 8}
TOLD = {**PARALLEL, 'cameras': ['agentview', 'wrist'], 'proprioception': True}
SAMPLERS = ({}, PARALLEL, TOLD)


@pytest.mark.parametrize('settings', SAMPLERS)
@pytest.mark.parametrize('temperature', [0.0, 1.6])
def test_act_and_evaluate_agree(openvla_policy, observe, settings, temperature):
    """One pass over given tokens gives the log-probabilities of decoding them one by one."""
    policy = openvla_policy(**settings)
    observations = [observe(0), observe(1, 'open the drawer'), observe(2)]
    chunks = policy.act(observations, temperature=temperature, seeds=SEEDS)
    statistics = policy.evaluate(observations, chunks.tokens, temperature=temperature)
    shape = (3, policy.spec.chunk, 7)
    assert chunks.actions.shape == chunks.tokens.shape == chunks.log_probs.shape == shape
    assert statistics.log_probs.dtype == torch.float32
    assert np.abs(statistics.log_probs.detach().numpy() - chunks.log_probs).max() < 2e-5
    assert (statistics.entropy > 0).all()
    assert (statistics.entropy <= np.log(256) + 1e-4).all()


@pytest.mark.parametrize('settings', SAMPLERS)
def test_act_and_evaluate_agree_in_half_precision(openvla_policy, observe, settings):
    """In bfloat16 a ratio starts within 2 % of 1, for rows of one length, as the learner packs."""
    policy = openvla_policy(**settings, precision='bfloat16')
    observations = [observe(0), observe(1), observe(2)]
    chunks = policy.act(observations, temperature=1.0, seeds=SEEDS)
    with torch.no_grad():
        learned = policy.evaluate(observations, chunks.tokens, temperature=1.0).log_probs
    assert np.abs(learned.numpy() - chunks.log_probs).max() < 2e-2


@pytest.mark.parametrize('settings', SAMPLERS)
def test_a_row_does_not_depend_on_its_batch(openvla_policy, observe, settings):
    """Bit for bit alone and in company; batched and padded, within rounding."""
    policy = openvla_policy(**settings)
    observations = [observe(0), observe(1, 'open the drawer'), observe(2)]
    together = policy.act(observations, temperature=1.0, seeds=SEEDS)
    alone = policy.act(observations[1:2], temperature=1.0, seeds=SEEDS[1:2])
    assert np.array_equal(together.tokens[1:2], alone.tokens)
    assert np.array_equal(together.log_probs[1:2], alone.log_probs)
    batched = openvla_policy(**settings, rows=3).act(observations, temperature=1.0, seeds=SEEDS)
    assert np.array_equal(together.tokens, batched.tokens)
    assert np.abs(together.log_probs - batched.log_probs).max() < 2e-5


@pytest.mark.parametrize('settings', [{}, PARALLEL])
def test_logits_that_are_not_numbers_are_refused(openvla_policy, observe, settings):
    """Decoded one by one or at once: an error instead of an action at the end of the range."""
    policy = openvla_policy(**settings)
    with torch.no_grad():
        policy.base.network.language_model.model.norm.weight[0] = torch.nan
    with pytest.raises(UserError, match='not numbers'):
        policy.act([observe(0)], temperature=0.0, seeds=[0])


@pytest.mark.parametrize('settings', SAMPLERS)
def test_the_length_of_a_row_is_that_of_its_pass(openvla_policy, observe, settings, monkeypatch):
    """What the learner packs by is what the language model is given."""
    policy = openvla_policy(**settings)
    observations = [observe(0), observe(1, 'open the drawer')]
    given = []
    model = policy.base.network.language_model.model
    forward = model.forward
    monkeypatch.setattr(
        model,
        'forward',
        lambda **inputs: given.append(inputs['inputs_embeds'].shape[1]) or forward(**inputs),
    )
    tokens = np.full((1, policy.spec.chunk, 7), 100)
    for observation in observations:
        policy.evaluate([observation], tokens, temperature=1.0)
    assert policy.lengths(observations) == given
    assert given[0] != given[1]


@pytest.mark.parametrize('settings', [{}, PARALLEL, TOLD])
def test_inference_from_fixed_buffers_is_the_same(openvla_policy, observe, settings):
    """Bit for bit, image by image, with another prompt in the same buffers and one of another
    length; on a CPU the steps that a GPU would record run again."""
    rows = 2 if settings else 1
    eager = openvla_policy(**settings, rows=rows, captured=False)
    captured = openvla_policy(**settings, rows=rows)
    for observations in (
        [observe(0), observe(1)],
        [observe(2), observe(3)],
        [observe(4, 'open a drawer'), observe(5, 'open a drawer')],
        [observe(6, 'lift a drawer'), observe(7, 'open a drawer')],
        [observe(8), observe(9, 'open a drawer')],
        [observe(0)],
    ):
        seeds = list(range(len(observations)))
        ours = captured.act(observations, temperature=1.0, seeds=seeds)
        theirs = eager.act(observations, temperature=1.0, seeds=seeds)
        assert np.array_equal(ours.tokens, theirs.tokens)
        assert np.array_equal(ours.log_probs, theirs.log_probs)
    # Two shapes of two rows and one of one; the rows of two lengths were not recorded. Of tokens
    # that are said one by one, one row of either length.
    recordings = captured._captured_chunks or captured._captured_decodings
    assert len(recordings.recordings) == (3 if settings else 2)


@pytest.mark.parametrize('settings', [{}, PARALLEL])
def test_fixed_buffers_follow_the_adapter(openvla_policy, observe, settings):
    """A recording is of one adapter, and sees its weights change in place."""
    policy = openvla_policy(**settings, lora_rank=4)
    plain = policy.act([observe(0)], temperature=0.0, seeds=[0]).log_probs
    policy.prepare_training()
    assert np.allclose(policy.act([observe(0)], temperature=0.0, seeds=[0]).log_probs, plain)
    with torch.no_grad():
        for name, value in policy.module.named_parameters():
            if '.lora_' in name:
                value += 0.05
    changed = policy.act([observe(0)], temperature=0.0, seeds=[0]).log_probs
    assert not np.allclose(changed, plain)
    assert np.array_equal(
        openvla_policy(**settings).act([observe(0)], temperature=0.0, seeds=[0]).log_probs, plain
    )


@pytest.mark.parametrize('settings', SAMPLERS)
@pytest.mark.parametrize('captured', [True, False])
def test_a_policy_that_learns_still_acts_as_it_judges(openvla_policy, observe, settings, captured):
    """Checkpointed activations, of which transformers keeps no keys and values, change nothing."""
    policy = openvla_policy(**settings, captured=captured)
    policy.prepare_training()
    chunks = policy.act([observe(0)], temperature=1.0, seeds=[5])
    judged = policy.evaluate([observe(0)], chunks.tokens, temperature=1.0)
    assert np.abs(judged.log_probs.detach().numpy() - chunks.log_probs).max() < 2e-5
    judged.log_probs.sum().backward()
    again = policy.act([observe(0)], temperature=1.0, seeds=[5])
    assert np.array_equal(again.log_probs, chunks.log_probs)


def test_attention_is_bidirectional_in_parallel_decoding_only(openvla_policy, observe):
    """The last placeholder moves the first answer where tokens see later ones, and only there."""
    for settings, sees_ahead in ((PARALLEL, True), ({}, False)):
        network = openvla_policy(**settings).base.network
        embeddings = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(0))
        other = embeddings.clone()
        other[:, -1] += 1.0
        with torch.no_grad():
            first, second = (
                network.language_model.model(inputs_embeds=e).last_hidden_state[:, 0]
                for e in (embeddings, other)
            )
        assert torch.equal(first, second) is not sees_ahead


def test_two_ids_stand_for_one_action():
    """256 edges have 255 centres: 31744 and 31745 decode alike, all others apart."""
    ids = ActionIds()
    assert ids.ids[[0, 254, 255]].tolist() == [31999, 31745, 31744]
    centres = ids.decode(np.arange(256))
    assert centres[254] == centres[255]
    assert len(set(centres.tolist())) == 255
    assert centres[0] == -1.0 + 1.0 / 255.0
    assert ids.encode(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 127, 255, 255]
    with pytest.raises(ValueError, match='256'):
        ids.decode(np.array([256]))


def test_other_counts_of_bins_are_read_as_the_published_code_reads_them():
    """`vocab_size` - id - 1, clipped, is the index of its centres between `n_action_bins` edges."""
    ids = ActionIds(32000, 128)
    edges = np.linspace(-1, 1, 128)
    centres = (edges[:-1] + edges[1:]) / 2.0
    published = centres[np.clip(32000 - ids.ids - 1, 0, len(centres) - 1)]
    assert np.array_equal(ids.decode(np.arange(128)), published)


def test_actions_are_scaled_by_masked_quantiles():
    """-1 and 1 are the 1st and 99th percentile; what is not masked stays as it is."""
    action = tiny_openvla.statistics()['libero_spatial_no_noops']['action']
    scaling = Scaling.of(Fields(action, Path('here')), 7)
    assert np.allclose(scaling.scale(-np.ones(7))[:6], scaling.low[:6])
    assert np.allclose(scaling.scale(np.ones(7))[:6], scaling.high[:6])
    assert scaling.scale(np.full(7, 0.3))[6] == 0.3
    assert np.allclose(scaling.normalise(scaling.scale(np.full(7, 0.3))), 0.3)


@pytest.mark.parametrize(('low', 'high'), [(None, 1.0), (0.0, float('inf')), (1.0, -1.0)])
def test_statistics_that_would_give_no_or_turned_actions_are_refused(low, high):
    """A null is NaN when read, and every action with it; exchanged ends turn the arm round."""
    with pytest.raises(UserError, match=r'here: q(01|99)='):
        Scaling.of(Fields({'q01': [low] * 7, 'q99': [high] * 7}, Path('here')), 7)


@pytest.mark.parametrize(('said', 'command'), [(0.0, 1.0), (0.49, 1.0), (0.51, -1.0), (1.0, -1.0)])
def test_the_gripper_is_turned_round(said, command):
    """The data says 1 for open, LIBERO -1; deltas beyond its range are cut as LIBERO cuts them."""
    commands = libero_commands(np.array([0.5, -3.0, 0, 0, 0, 0, said]))
    assert commands.tolist() == [0.5, -1.0, 0, 0, 0, 0, command]


def test_proprioception_is_told_in_the_scene(arm, observe):
    """The base's place in each kind of scene is added; libero_10 tells it by the instruction."""
    observation = observe(0, 'put both moka pots on the stove')
    position, _ = arm.tool_pose(observation.joint_positions)
    told = libero_proprioception(arm, observation, 'libero_10_no_noops')
    assert np.allclose(told[:3], position + np.array([-0.66, 0.0, 0.912]))
    assert np.array_equal(told[6:], observation.gripper_positions)
    assert base_position('libero_object_no_noops', 'anything') == (-0.6, 0.0, 0.0)
    with pytest.raises(UserError, match='libero_10_no_noops'):
        base_position('libero_10_no_noops', 'something unheard of')


def test_rotation_vectors_run_past_pi():
    """A tool that points down stays on the data's branch, whichever side of pi it tilts to."""
    for angle in (np.pi - 0.3, np.pi + 0.3):
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
        assert np.allclose(libero_rotation_vector(turned), [angle, 0.0, 0.0])


def test_a_regression_head_answers_and_is_refused_by_learning(openvla_policy, observe):
    """Greedy answers are the head's own; sampling and scoring give the reason."""
    policy = openvla_policy(**TOLD, answer='regression')
    chunks = policy.act([observe(0)], temperature=0.0, seeds=[1])
    assert chunks.actions.shape == (1, 8, 7)
    assert np.isfinite(chunks.actions).all()
    with pytest.raises(UserError, match='never trained to say action tokens'):
        policy.act([observe(0)], temperature=1.0, seeds=[1])
    with pytest.raises(UserError, match='never trained to say action tokens'):
        policy.evaluate([observe(0)], chunks.tokens, temperature=1.0)


def test_saved_and_loaded_is_identical(openvla_policy, observe, tmp_path):
    """The folder names the published files and every setting; the network is not read twice."""
    policy = openvla_policy(**PARALLEL)
    policy.save(tmp_path / 'saved')
    loaded = load_policy(tmp_path / 'saved')
    before = policy.act([observe(0)], temperature=1.0, seeds=[1])
    after = loaded.act([observe(0)], temperature=1.0, seeds=[1])
    assert np.array_equal(before.log_probs, after.log_probs)
    assert loaded.spec == policy.spec
    assert loaded.module is policy.module


def test_what_is_not_run_is_refused(tmp_path):
    """Diffusion heads and FiLM are named before anything is read."""
    for file, what in (
        ('noisy_action_projector--10_checkpoint.pt', 'diffusion'),
        ('vision_backbone--10_checkpoint.pt', 'FiLM'),
    ):
        folder = tmp_path / what
        folder.mkdir()
        (folder / file).touch()
        with pytest.raises(UserError, match=what):
            detect(folder)


def test_a_checkpoint_without_heads_is_told_by_its_code(tmp_path):
    """Discrete OFT checkpoints look like OpenVLA but for the text of their modelling code."""
    assert detect(tmp_path) == {}
    (tmp_path / 'modeling_prismatic.py').write_text('from x import NUM_ACTIONS_CHUNK')
    found = detect(tmp_path)
    assert (found['decoding'], found['chunk'], found['answer']) == ('parallel', 8, 'tokens')
    assert found['cameras'] == ('agentview',)


def _drop(name):
    return lambda folder: (folder / name).unlink()


def _cut(folder):
    shard = folder / 'model-00002-of-00003.safetensors'
    shard.write_bytes(shard.read_bytes()[:-100])


def _pointer(folder):
    (folder / 'model-00002-of-00003.safetensors').write_text('version https://git-lfs.github.com')


def _change(name, **values):
    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **values}))

    return change


def _narrow(folder):
    text = json.loads((folder / 'config.json').read_text())['text_config']
    _change('config.json', text_config={**text, 'intermediate_size': 32})(folder)


BROKEN = {
    'a shard is missing': (_drop('model-00002-of-00003.safetensors'), 'finish the download'),
    'a shard is cut': (_cut, 'damaged or incomplete'),
    'a shard is a pointer': (_pointer, 'git lfs pull'),
    'no index': (_drop('model.safetensors.index.json'), 'incomplete'),
    'no tokeniser': (_drop('tokenizer.json'), 'tokenizer.json is missing'),
    'no preprocessor': (_drop('preprocessor_config.json'), 'preprocessor_config.json is missing'),
    'another size': (_narrow, r'config\.json asks for'),
    'another trunk': (_change('config.json', vision_backbone_id='siglip'), 'all that is supported'),
    'another tokeniser': (_change('config.json', pad_to_multiple_of=0), 'the model needs 32064'),
    'several data sets': (
        _change('dataset_statistics.json', libero_goal_no_noops={}),
        'libero_goal_no_noops, libero_spatial_no_noops',
    ),
    'no LIBERO': (_change('config.json', norm_stats={'bridge_orig': {}}), 'fine-tuned on LIBERO'),
}


@pytest.mark.parametrize('name', BROKEN)
def test_what_is_wrong_is_said_in_one_line(openvla_folder, tmp_path, name):
    """A folder that is incomplete or of another layout: one line with the file and the remedy."""
    folder = tmp_path / 'copy'
    shutil.copytree(openvla_folder, folder)
    spoil, message = BROKEN[name]
    spoil(folder)
    if name == 'no LIBERO':
        (folder / 'dataset_statistics.json').unlink()
    with pytest.raises(UserError, match=message) as raised:
        load_policy(folder)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    'name', ['proprio_projector--150000_checkpoint.pt', 'proprio_projector.safetensors']
)
def test_a_pointer_in_place_of_a_projector_is_said_in_one_line(openvla_folder, tmp_path, name):
    """What a clone without its large files leaves is no pickle and no tensors."""
    folder = tmp_path / 'copy'
    shutil.copytree(openvla_folder, folder)
    (folder / name).write_text('version https://git-lfs.github.com')
    with pytest.raises(UserError, match='damaged or incomplete') as raised:
        load_policy(folder)
    assert name in str(raised.value)
    assert '\n' not in str(raised.value)


def test_a_hub_name_is_looked_up_and_never_downloaded(monkeypatch, tmp_path):
    """What is not in the cache gets the command that fetches it."""
    monkeypatch.setenv('HF_HOME', str(tmp_path))
    with pytest.raises(UserError, match='no folder here, and no name of the Hugging Face hub'):
        load_policy('runs/sft--big')
    with pytest.raises(UserError, match='hf download somebody/nothing-of-that-name'):
        load_policy('somebody/nothing-of-that-name')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'chunk': 8}, 'decoding=sequential'),
        ({'answer': 'regression'}, 'decoding=parallel'),
        ({'compiled': True}, 'compiled needs decoding=parallel'),
        ({'chunks': 8}, 'unknown setting'),
        ({'cameras': []}, 'one or more'),
        ({'cameras': ['nose']}, 'choose from agentview, wrist'),
        ({'statistics': 'libero_goal'}, 'libero_spatial_no_noops'),
        ({'checkpoint': 'nowhere'}, 'no folder'),
    ],
)
def test_bad_settings_are_refused(openvla_policy, settings, message):
    """One line that names the setting."""
    with pytest.raises(UserError, match=message):
        openvla_policy(**settings)
