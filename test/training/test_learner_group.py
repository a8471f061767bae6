"""Two processes that learn together, over gloo: the update of one, whatever is split."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import learner_rank
import pytest
import torch
from learner_rank import TOYS
from safetensors.torch import load_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.learner_group import LearnerGroup

PROCESSES = 2


@pytest.fixture(scope='module')
def openvla(tmp_path_factory) -> str:
    """Return the folder of a tiny OpenVLA-OFT policy."""
    sys.path.insert(0, str(Path(__file__).parents[1] / 'policies'))
    import tiny_openvla

    checkpoint = tiny_openvla.write(tmp_path_factory.mktemp('openvla') / 'checkpoint')
    folder = tmp_path_factory.mktemp('policy')
    settings = {'checkpoint': str(checkpoint), 'decoding': 'parallel', 'chunk': 8}
    settings |= {'answer': 'tokens', 'cameras': ['agentview'], 'lora_rank': 4, 'lora_alpha': 8}
    (folder / 'openvla.json').write_text(json.dumps(settings))
    return str(folder)


def launch(folder: Path, name: str) -> None:
    """Run the ranks as a launcher would."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'WORLD_SIZE': str(PROCESSES),
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'OMP_NUM_THREADS': '1',
        'GLOO_SOCKET_IFNAME': 'lo',
    }
    command = [sys.executable, learner_rank.__file__, str(folder), name]
    ranks = [
        subprocess.Popen(command, env={**environment, 'RANK': str(rank), 'LOCAL_RANK': str(rank)})
        for rank in range(PROCESSES)
    ]
    try:
        assert [rank.wait(280) for rank in ranks] == [0] * PROCESSES
    finally:
        for rank in ranks:
            rank.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize('kind', [TOYS, 'openvla'])
def test_two_processes_make_the_update_of_one(kind, openvla, tmp_path):
    """Gradients, weights and figures of seven rows on two ranks; resumed, the same bits again."""
    name = TOYS if kind == TOYS else openvla
    together, alone = tmp_path / 'together', tmp_path / 'alone'
    together.mkdir()
    alone.mkdir()
    launch(together, name)
    learner_rank.learn(alone, name, LearnerGroup())
    ours = [load_file(together / f'state-{rank}.safetensors') for rank in range(PROCESSES)]
    one = load_file(alone / 'state-0.safetensors')
    assert ours[0].keys() == one.keys()
    for key, value in one.items():
        assert torch.equal(ours[0][key], ours[1][key]), key
        scale = value.abs().max().clamp(min=1e-12)
        assert (ours[0][key] - value).abs().max() <= 2e-5 * scale, key
    figures = [json.loads((folder / 'figures.json').read_text()) for folder in (together, alone)]
    for mine, its in zip(*figures, strict=True):
        assert mine == pytest.approx(its, rel=1e-4, abs=1e-6)
    resumed = load_file(together / 'resumed.safetensors')
    for key, value in resumed.items():
        assert torch.equal(value, ours[0][key.replace('weight.', 'weight.', 1)]), key
    held = [json.loads((together / f'held-{r}.json').read_text()) for r in range(PROCESSES)]
    for rank in held:
        if kind == TOYS:
            assert rank['here'] == rank['all']
        else:
            assert rank['here'] < rank['all']


def test_one_process_is_a_group_by_itself(monkeypatch):
    """Nothing is connected, and nothing waits."""
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    group = LearnerGroup.launched('cpu')
    assert (group.rank, group.size) == (0, 1)
    assert group.broadcast('word') == 'word'
    assert group.sum([1.5]) == [1.5]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    """Before anything is connected."""
    monkeypatch.setenv('WORLD_SIZE', '4096')
    monkeypatch.setenv('LOCAL_RANK', '4095')
    with pytest.raises(UserError, match='launch that many'):
        LearnerGroup.launched('cuda')
