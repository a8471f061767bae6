"""The states of the global random generators, those of many GPUs among them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from smoothvla_ros.training.random_states import random_states, restore_random_states


def drawn():
    return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002


def test_what_was_drawn_is_drawn_again():
    """Of torch, NumPy and Python alike."""
    states = random_states()
    first = drawn()
    restore_random_states(*states)
    assert drawn() == first


@pytest.fixture
def gpus(monkeypatch):
    """Twelve of them, each with a state that is its number; returns what is put back."""
    states = [torch.tensor([index]) for index in range(12)]
    put_back = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: len(states))
    monkeypatch.setattr(torch.cuda, 'get_rng_state_all', lambda: states)
    monkeypatch.setattr(torch.cuda, 'set_rng_state_all', put_back.extend)
    return put_back


def test_every_gpu_gets_its_own_state_back(gpus):
    """The eleventh too: its name comes before that of the third."""
    restore_random_states(*random_states())
    assert [int(state) for state in gpus] == list(range(12))


def test_another_number_of_gpus_is_said(gpus, monkeypatch, caplog):
    """The run goes on, and is not the same one for a policy that draws there."""
    states = random_states()
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    restore_random_states(*states)
    assert not gpus
    assert 'random states of 12 GPUs, this machine has 2' in caplog.text
