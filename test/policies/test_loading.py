"""Where a policy computes, and what is said of a GPU that is left idle."""

from __future__ import annotations

import pytest
import torch

from smoothvla_ros.policies.loading import named_device, tell_unused_gpu, torch_device


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
    tell_unused_gpu('cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    tell_unused_gpu('cuda')
    tell_unused_gpu('auto')
    assert capsys.readouterr().out == ''
    tell_unused_gpu('cpu')
    assert capsys.readouterr().out == (
        'device=cpu, and a GPU is there: --device cuda uses it, in a launch device:=cuda\n'
    )
