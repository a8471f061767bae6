"""Damages of a published folder: each costs one line that names the file and the field."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_openvla
import torch
from safetensors.torch import load_file, save_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.openvla.checkpoint import PublishedCheckpoint
from smoothvla_ros.policies.openvla.settings import is_openvla

CONFIG = 'config.json'
STATISTICS = 'dataset_statistics.json'
PREPROCESSOR = 'preprocessor_config.json'
INDEX = 'model.safetensors.index.json'
SETTINGS = 'openvla.json'
PROJECTOR = 'proprio_projector--150000_checkpoint.pt'
HEAD = 'action_head--150000_checkpoint.pt'
SHARD = 'model-00001-of-00003.safetensors'
DATA = 'libero_spatial_no_noops'


def _set(*path, to):
    """Change the field that the path leads to; None removes it."""

    def change(content):
        inner = content
        for name in path[:-1]:
            inner = inner[name]
        if to is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = to
        return content

    return change


def _head_of_six(file):
    torch.save(tiny_openvla.state(tiny_openvla.head_shapes(steps=6)), file)


def _not_a_number(file):
    weights = load_file(file)
    weights['projector.fc1.bias'][3] = float('nan')
    save_file(weights, file, {'format': 'pt'})


def _infinite(file):
    state = tiny_openvla.state(tiny_openvla.projector_shapes())
    state['fc1.bias'][0] = float('inf')
    torch.save(state, file)


# File, damage (of its JSON, or of the file), what the message names beside the file.
DAMAGES = {
    'no object of statistics': (STATISTICS, _set(DATA, to=[1]), DATA),
    'no object of actions': (STATISTICS, _set(DATA, 'action', to=[1]), f'{DATA}.action'),
    'six dimensions': (STATISTICS, _set(DATA, 'action', 'q01', to=[-1] * 6), 'action.q01'),
    'statistics of text': (STATISTICS, _set(DATA, 'action', 'q99', to=['1'] * 7), 'action.q99'),
    'no q99': (STATISTICS, _set(DATA, 'action', 'q99', to=None), 'action.q99 is missing'),
    'turned statistics': (STATISTICS, _set(DATA, 'action', 'q01', to=[2] * 7), 'action.q01'),
    'a mask of numbers': (STATISTICS, _set(DATA, 'action', 'mask', to=[1] * 7), 'action.mask'),
    'seven of proprioception': (STATISTICS, _set(DATA, 'proprio', 'q01', to=[0] * 7), 'proprio'),
    'no statistics': (STATISTICS, lambda content: {}, 'no statistics of any'),
    'a list of text_config': (CONFIG, _set('text_config', to=[1]), 'text_config=[1]'),
    'five heads': (CONFIG, _set('text_config', 'num_attention_heads', to=5), 'attention_heads=5'),
    'heads of text': (CONFIG, _set('text_config', 'num_attention_heads', to='4'), "heads='4'"),
    'layers beyond': (
        CONFIG,
        _set('text_config', 'num_hidden_layers', to=10**9),
        'num_hidden_layers=1000000000',
    ),
    'a width beyond': (CONFIG, _set('text_config', 'hidden_size', to=2**60), 'hidden_size='),
    'key heads': (CONFIG, _set('text_config', 'num_key_value_heads', to=3), 'value_heads=3'),
    'a vocabulary of text': (CONFIG, _set('text_config', 'vocab_size', to='big'), "size='big'"),
    'padding beyond': (CONFIG, _set('text_config', 'pad_token_id', to=40000), 'pad_token_id'),
    'epsilon': (CONFIG, _set('text_config', 'rms_norm_eps', to=0), 'text_config.rms_norm_eps=0'),
    'tied': (CONFIG, _set('text_config', 'tie_word_embeddings', to=True), 'embeddings=True'),
    'rotations': (CONFIG, _set('text_config', 'rope_theta', to=-1), 'rope_theta=-1'),
    'activation': (CONFIG, _set('text_config', 'hidden_act', to='x'), "hidden_act='x'"),
    'rope': (CONFIG, _set('text_config', 'rope_scaling', to={'type': 'x'}), 'rope_scaling'),
    'no setting of Llama': (
        CONFIG,
        _set('text_config', 'initializer_range', to='x'),
        'text_config',
    ),
    'one image size': (CONFIG, _set('image_sizes', to=[224]), 'image_sizes=[224]'),
    'image size': (CONFIG, _set('image_sizes', to=[384, 384]), 'pos_embed'),
    'two image sizes': (CONFIG, _set('image_sizes', to=[224, 384]), 'image_sizes=[224, 384]'),
    'an image beyond': (CONFIG, _set('image_sizes', to=[10**9] * 2), 'image_sizes='),
    'trunks in turn': (CONFIG, _set('timm_model_ids', to=['a', 'b']), 'timm_model_ids'),
    'one bin': (CONFIG, _set('n_action_bins', to=1), 'n_action_bins=1'),
    'bins beyond': (CONFIG, _set('n_action_bins', to=40000), 'n_action_bins=40000'),
    'padding of text': (CONFIG, _set('pad_to_multiple_of', to='64'), 'pad_to_multiple_of'),
    'padding of all': (CONFIG, _set('pad_to_multiple_of', to=40000), 'pad_to_multiple_of'),
    'not UTF-8': (CONFIG, b'\xff\xfe\x00', 'damaged or incomplete'),
    'no config': (CONFIG, None, 'is missing'),
    'another model': (CONFIG, _set('model_type', to='llava'), "it is 'llava'"),
    'one colour': (PREPROCESSOR, _set('means', to=[[1], [2]]), 'means=[[1], [2]]'),
    'one mean': (PREPROCESSOR, _set('means', to=[[0.5] * 3]), 'means'),
    'no deviation': (PREPROCESSOR, _set('stds', to=[[0.0] * 3] * 2), 'stds'),
    'an index of numbers': (INDEX, _set('weight_map', 'projector.fc1.bias', to=3), 'fc1.bias=3'),
    'no index of it': (INDEX, _set('weight_map', 'projector.fc1.bias', to=None), 'fc1.bias'),
    'out of the folder': (
        INDEX,
        _set('weight_map', 'projector.fc1.bias', to=f'../copy/{SHARD}'),
        f'projector.fc1.bias={f"../copy/{SHARD}"!r}',
    ),
    'no weight_map': (INDEX, _set('weight_map', to={}), 'weight_map'),
    'a bare tensor': (PROJECTOR, lambda file: torch.save(torch.zeros(3), file), 'by their names'),
    'an infinity': (PROJECTOR, _infinite, 'fc1.bias has values that are not finite'),
    'a head of six': (HEAD, _head_of_six, 'action_head'),
    'NaN': (SHARD, _not_a_number, 'projector.fc1.bias has values that are not finite'),
    'settings': (SETTINGS, b'[]', 'not a JSON object'),
    'a number of checkpoint': (SETTINGS, b'{"checkpoint": 5}', 'checkpoint=5'),
    'rows of text': (SETTINGS, b'{"rows": "4"}', "rows='4'"),
    'cameras of text': (SETTINGS, b'{"cameras": "agentview,wrist"}', 'cameras='),
    'a nose': (SETTINGS, b'{"cameras": ["nose"]}', "cameras=('nose',)"),
    'crop of a number': (SETTINGS, b'{"center_crop": 1}', 'center_crop=1'),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_damage_is_said_in_one_line(openvla_folder, tmp_path, name):
    """UserError, one line, the file and the field; never a trace, never a policy."""
    folder = tmp_path / 'copy'
    shutil.copytree(openvla_folder, folder)
    file, damage, field = DAMAGES[name]
    path = folder / file
    if damage is None:
        path.unlink()
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    elif path.suffix == '.json':
        path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    else:
        damage(path)
    with pytest.raises(UserError) as raised:
        load_policy(folder)
    message = str(raised.value)
    assert '\n' not in message
    assert field in message
    named = file.partition('--')[0]
    assert named in message


ADAPTER = 'adapter_config.json'
ADAPTER_WEIGHTS = 'adapter_model.safetensors'


@pytest.mark.parametrize(
    ('file', 'damage', 'field'),
    [
        (ADAPTER, b'{"r": 0, "lora_alpha": 8}', 'r=0'),
        (ADAPTER, b'{"r": 4, "lora_alpha": "8"}', "lora_alpha='8'"),
        (ADAPTER, b'[]', 'not a JSON object'),
        (ADAPTER_WEIGHTS, b'version https://git-lfs', 'damaged or incomplete'),
        (ADAPTER_WEIGHTS, None, 'not finite'),
    ],
)
def test_damage_of_an_adapter_is_said_in_one_line(openvla_policy, tmp_path, file, damage, field):
    """The same for what training wrote beside `openvla.json`."""
    policy = openvla_policy(lora_rank=4)
    policy.prepare_training()
    policy.save(tmp_path / 'saved')
    path = tmp_path / 'saved' / file
    if damage is None:
        weights = load_file(path)
        next(iter(weights.values()))[0] = float('nan')
        save_file(weights, path, {'format': 'pt'})
    else:
        path.write_bytes(damage)
    with pytest.raises(UserError) as raised:
        load_policy(path.parent)
    message = str(raised.value)
    assert '\n' not in message
    assert field in message
    assert file in message


def test_a_folder_of_the_small_policy_stays_one(tmp_path):
    """Its files are none that tell a published checkpoint."""
    assert not is_openvla(tmp_path)
    (tmp_path / CONFIG).write_text('{"image_size": 96}')
    assert not is_openvla(tmp_path)


def test_statistics_are_refused_before_the_weights_are_read(openvla_folder, tmp_path, monkeypatch):
    """A wrong name in openvla.json must not cost the reading of 15 GB."""
    shutil.copytree(openvla_folder, tmp_path / 'copy')  # which nobody has read yet
    settings = {'checkpoint': 'copy', 'statistics': 'libero_goal'}
    (tmp_path / 'openvla.json').write_text(json.dumps(settings))
    monkeypatch.setattr(PublishedCheckpoint, 'tensors', lambda *_: pytest.fail('weights were read'))
    with pytest.raises(UserError, match="no statistics of 'libero_goal'"):
        load_policy(tmp_path)
