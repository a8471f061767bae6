"""Which folders are policies, where they compute, and what is said of an idle GPU."""

from __future__ import annotations

import json

import pytest
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.image_size import image_size
from smoothvla_ros.policies.loading import (
    load_policy,
    named_device,
    torch_device,
    warn_unused_gpu,
)


@pytest.mark.parametrize(('there', 'expected'), [(True, 'cuda'), (False, 'cpu')])
def test_auto_is_the_gpu_where_there_is_one(there, expected, monkeypatch):
    """Any other name stays what it is."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: there)
    assert named_device('auto') == expected
    assert named_device('cpu') == 'cpu'
    assert named_device('cuda:1') == 'cuda:1'


def test_auto_can_be_computed_on(monkeypatch):
    """A policy is loaded to a device of torch, which knows no such name."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert torch_device('auto') == torch.device('cpu')


def test_a_gpu_that_the_default_leaves_idle_is_named(monkeypatch, capsys):
    """One line with what uses it; none where there is no GPU, or it is used already."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    warn_unused_gpu('cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    warn_unused_gpu('cuda')
    warn_unused_gpu('auto')
    assert capsys.readouterr().out == ''
    warn_unused_gpu('cpu')
    assert capsys.readouterr().out == 'device=cpu, and a GPU is there: device=cuda uses it\n'


@pytest.mark.parametrize('name', ['type', 'model_type'])
def test_a_policy_of_another_kind_is_named(name, tmp_path):
    """No copy would mend it; a launch file, which asks for the size of the images, says the same.

    LeRobot writes `type`, transformers `model_type`.
    """
    (tmp_path / 'config.json').write_text(json.dumps({name: 'smolvla', 'chunk_size': 50}))
    for ask in (load_policy, image_size):
        with pytest.raises(UserError) as error:
            ask(tmp_path)
        assert "says in config.json that it is 'smolvla'" in str(error.value)


@pytest.mark.parametrize('content', ['', '{}', '[]', '{"model_type": "smoothvla_small"}'])
def test_a_damaged_small_vla_is_still_a_damaged_one(content, tmp_path):
    """Only what says that it is something else is taken for that."""
    (tmp_path / 'config.json').write_text(content)
    (tmp_path / 'SHA256SUMS').write_text('')
    with pytest.raises(UserError, match=r'copy (the folder|it) again'):
        load_policy(tmp_path)


@pytest.mark.parametrize('content', [None, '{"type": "lab_act",}', '{}'])
def test_a_folder_that_does_not_say_what_it_is_is_told_how(content, tmp_path):
    """No copy would mend a configuration that was never written, or has a comma too many."""
    if content is not None:
        (tmp_path / 'config.json').write_text(content)
    (tmp_path / 'weights.pt').write_bytes(b'')
    for ask in (load_policy, image_size):
        with pytest.raises(UserError, match=r'no config.json that says what it is.*\{"type": …\}'):
            ask(tmp_path)


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (b'{"type": "policy_server", "address": ', r'\(Expecting value: line 1'),
        (b'\xef\xbb\xbf{"type": "policy_server"}', r'\(Unexpected UTF-8 BOM'),
        (b'\xff{}', r"\('utf-8' codec can't decode"),
        (b'[1]', r'\(it is no map\)'),
        (b'{"chunk": 5}', r'"policy_server", or of a kind that an installed package brings'),
    ],
)
def test_configuration_that_cannot_be_read_says_why(content, said, tmp_path):
    """That of a policy server is written by hand: copying the folder again mends nothing."""
    (tmp_path / 'config.json').write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        load_policy(tmp_path)
    assert '\n' not in str(raised.value)
