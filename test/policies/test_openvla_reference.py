"""The published modelling code and ours, number by number: docs/openvla.md says how recorded."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny_openvla
import torch

from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.images import center_crop, lanczos, normalise, resize
from smoothvla_ros.policies.openvla.load import load_openvla
from smoothvla_ros.policies.openvla.memory import PUBLISHED_LLAMA, PUBLISHED_VISION
from smoothvla_ros.policies.openvla.modeling import Inputs, OpenVLANetwork
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy

REFERENCE = dict(np.load(Path(__file__).parent / 'data' / 'openvla_reference.npz'))
INSTRUCTIONS = (
    'Pick up the black bowl on the ramekin and place it on the plate',
    'open the top drawer',
)
PARALLEL = {'decoding': 'parallel', 'chunk': 8}
TWO = {**PARALLEL, 'cameras': ['agentview', 'wrist'], 'proprioception': True}
VARIANTS = {
    'openvla/one': {},
    'oft/one': PARALLEL,
    'oft/two': TWO,
    'oft/head': {**TWO, 'answer': 'regression'},
}


@pytest.fixture(scope='module', params=VARIANTS)
def variant(request, openvla_policy) -> tuple[str, OpenVLAPolicy]:
    """Return the name of a recorded variant and our policy of the same checkpoint."""
    return request.param, openvla_policy(**VARIANTS[request.param])


def inputs_of(policy: OpenVLAPolicy, rows: tuple[int, ...]) -> Inputs:
    """Return the images, prompts and proprioception that the reference was given."""
    pixels = torch.stack(
        [
            torch.stack(
                [
                    normalise(
                        torch.from_numpy(tiny_openvla.image(2 * row + view)),
                        policy.base.normalisation,
                    )
                    for view in range(len(policy.settings.cameras))
                ]
            )
            for row in rows
        ]
    )
    told = None
    if policy.settings.proprioception:
        told = torch.from_numpy(np.stack([REFERENCE[f'oft/{row}/proprio'] for row in rows])).float()
    return Inputs(pixels, [policy.base.prompt.ids(INSTRUCTIONS[row]) for row in rows], told)


def logits_of(policy: OpenVLAPolicy, inputs: Inputs) -> torch.Tensor:
    """Return [B, chunk * 7, 256], decoded greedily where decoding is sequential."""
    network = policy.base.network
    if policy.settings.decoding == 'parallel':
        return network.action_logits(network.parallel_hidden(inputs, 56))
    decoding, logits = network.start(inputs, 7), []
    for place in range(7):
        if place:
            decoding.say(logits[-1].argmax(dim=-1))
        logits.append(decoding.logits())
    return torch.stack(logits, dim=1)


def test_the_reference_was_recorded_from_this_checkpoint():
    """The names and sizes of the published files are timm's and Llama's: 982 tensors, 7.54 B."""
    shapes = tiny_openvla.shapes(tiny_openvla.PUBLISHED)
    lines = '\n'.join(f'{name} {list(shape)}' for name, shape in sorted(shapes.items()))
    assert len(shapes) == 982
    assert sum(math.prod(shape) for shape in shapes.values()) == 7_541_237_184
    assert hashlib.sha256(lines.encode()).hexdigest() == (
        '99212ba7b2a20bff01a94924f778724810deca58ecd0cfc4beddd9b81bd1398f'
    )


def test_the_names_fill_the_published_files_to_the_byte():
    """Written as bfloat16 in shards of 5 GB, header and all, they have the published sizes.

    Those of openvla-7b-oft-finetuned-libero-10, from its files' pointers; the header holds every
    name, so a name of another length would show, and so would another order.
    """
    with torch.device('meta'):
        network = OpenVLANetwork(PUBLISHED_VISION, PUBLISHED_LLAMA, ActionIds(), parallel=True)
    shards: list[dict[str, list[int]]] = [{}]
    filled = 0
    for name, value in network.state_dict().items():
        size = 2 * value.numel()
        if filled + size > 5e9:
            shards.append({})
            filled = 0
        shards[-1][name] = list(value.shape)
        filled += size
    assert [_file_size(shard) for shard in shards] == [
        4_925_122_448,
        4_947_392_496,
        4_947_417_456,
        262_668_432,
    ]


def _file_size(shapes: dict[str, list[int]]) -> int:
    """Return the bytes of a safetensors file of bfloat16 tensors: length, header, padding, data."""
    header: dict[str, object] = {'__metadata__': {'format': 'pt'}}
    end = 0
    for name in sorted(shapes):
        begin, end = end, end + 2 * math.prod(shapes[name])
        header[name] = {'dtype': 'BF16', 'shape': shapes[name], 'data_offsets': [begin, end]}
    length = len(json.dumps(header, separators=(',', ':')))
    return 8 + length + -length % 8 + end


@pytest.mark.parametrize('rows', [(0,), (1,), (0, 1)])
@torch.no_grad()
def test_logits_and_actions_are_those_of_the_published_code(variant, rows):
    """Float32 logits within 1e-4 and actions equal, alone and beside a longer prompt."""
    name, policy = variant
    inputs = inputs_of(policy, rows)
    family, kind = name.split('/')
    if kind == 'head':
        normalised, _, _ = policy._regress(inputs, 0.0)
    else:
        logits = logits_of(policy, inputs)
        for place, row in enumerate(rows):
            expected = REFERENCE[f'{family}/{row}/{kind}/logits']
            assert np.abs(logits[place].numpy() - expected).max() < 1e-4
        tokens = logits.argmax(dim=-1).numpy()
        normalised = policy.base.action_ids.decode(tokens).reshape(len(rows), -1, 7)
    scaled = policy._scaling.action.scale(normalised, 1e-8 if family == 'oft' else 0.0)
    for place, row in enumerate(rows):
        expected = REFERENCE[f'{family}/{row}/{kind}/actions'].reshape(-1, 7)
        if kind == 'head':
            assert np.abs(scaled[place] - expected).max() < 1e-5
        else:
            assert np.array_equal(scaled[place], expected)


@torch.no_grad()
def test_the_prompt_is_that_of_the_published_processor(variant):
    """Same ids as the published processor's, and 29871 after "Out:", which it leaves out."""
    name, policy = variant
    for row, instruction in enumerate(INSTRUCTIONS):
        ids = policy.base.prompt.ids(instruction)
        assert list(ids) == [*REFERENCE[f'{name.split("/")[0]}/{row}/ids'][0].tolist(), 29871]


@torch.no_grad()
def test_features_are_those_before_the_last_block(variant):
    """Whatever the last block and the final norm hold, the answer is the same."""
    _, policy = variant
    backbone = policy.base.network.vision_backbone
    inputs = inputs_of(policy, (0,))
    before = backbone(inputs.pixels)
    for trunk in (backbone.featurizer, backbone.fused_featurizer):
        kept = {name: value.clone() for name, value in trunk.state_dict().items()}
        trunk.norm.weight.fill_(7.0)
        trunk.blocks[-1].mlp.fc2.weight.fill_(7.0)
        after = backbone(inputs.pixels)
        trunk.load_state_dict(kept)
        assert torch.equal(before, after)
        trunk.blocks[-2].mlp.fc2.weight.mul_(1.1)
        assert not torch.equal(before, backbone(inputs.pixels))
        trunk.load_state_dict(kept)


def test_resampling_is_that_of_tensorflow():
    """JPEG, Lanczos and crop as published, but for one level at 1 of 10,000 values."""
    inputs = {
        'a': tiny_openvla.image(0, 256),
        'b': tiny_openvla.image(1, 128),
        'c': tiny_openvla.image(2, 480)[:300],
        'd': tiny_openvla.image(3, 224),
    }
    differences = [
        np.abs(function(image, 224)[::8].astype(int) - REFERENCE[f'images/{name}/{step}'])
        for name, image in inputs.items()
        for step, function in (('lanczos', lanczos), ('resized', resize))
    ]
    assert np.max(differences) <= 1
    shares = [np.mean(difference > 0) for difference in differences]
    assert np.mean(shares) < 1e-4
    assert max(shares) < 4e-4
    cropped = center_crop(inputs['d'])[::8]
    assert np.array_equal(cropped, REFERENCE['images/d/cropped'])


def test_the_shipped_layout_is_detected(openvla_folder, openvla_policy):
    """Head and projector files say a chunk of 8, two cameras and proprioception by themselves."""
    policy = load_openvla(openvla_folder)
    assert policy.settings.answer == 'regression'
    assert policy.spec.chunk == 8
    assert policy.spec.cameras == ('agentview', 'wrist')
    assert policy.base is openvla_policy(**VARIANTS['oft/head']).base
