"""Two processes that learn together, over gloo: the update of one, whatever is split."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import learner_rank
import pytest
import tiny_openvla
import torch
from learner_rank import TOYS
from safetensors.torch import load_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.training.learning.learner_group import LearnerGroup

PROCESSES = 2
TOY_WORLD = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def openvla(tmp_path_factory) -> str:
    """Return the folder of a tiny OpenVLA-OFT policy."""
    checkpoint = tiny_openvla.write(tmp_path_factory.mktemp('openvla') / 'checkpoint')
    return str(policy_folder(tmp_path_factory.mktemp('policy'), checkpoint=str(checkpoint)))


@pytest.fixture(scope='module')
def adapted(openvla, tmp_path_factory) -> str:
    """Return the same in bfloat16 with an adapter that says something, as training leaves it."""
    settings = json.loads((Path(openvla) / 'openvla.json').read_text()) | {'precision': 'bfloat16'}
    policy = load_policy(policy_folder(tmp_path_factory.mktemp('policy'), **settings))
    policy.prepare_training()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in (p for p in policy.module.parameters() if p.requires_grad):
            value += 0.05 * torch.randn(value.shape, generator=generator)
    policy.save(folder := tmp_path_factory.mktemp('adapted') / 'policy')
    return str(folder)


def policy_folder(folder: Path, **settings) -> Path:
    """Write the settings of a policy that learns a small adapter."""
    plain = {'decoding': 'parallel', 'chunk': 8, 'answer': 'tokens', 'cameras': ['agentview']}
    plain |= {'lora_rank': 4, 'lora_alpha': 8}
    (folder / 'openvla.json').write_text(json.dumps({**plain, **settings}))
    return folder


@pytest.fixture(scope='module')
def together(openvla, adapted, tmp_path_factory) -> dict[str, Path]:
    """Return what two ranks left behind of each policy, of one launch: starting takes longest."""
    plan = {TOYS: (TOYS, 2), 'openvla': (openvla, 2), 'adapted': (adapted, 1)}
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in plan}
    launch([[str(folders[kind]), name, str(count)] for kind, (name, count) in plan.items()])
    return folders


def launch(policies: list[list[str]]) -> None:
    """Run the ranks as a launcher would."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(TOY_WORLD), os.environ.get('PYTHONPATH', '')]),
        'WORLD_SIZE': str(PROCESSES),
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'OMP_NUM_THREADS': '1',
        'GLOO_SOCKET_IFNAME': 'lo',
    }
    command = [sys.executable, learner_rank.__file__, *itertools.chain.from_iterable(policies)]
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
def test_two_processes_make_the_update_of_one(kind, openvla, together, tmp_path):
    """Gradients, weights and figures of seven rows on two ranks; resumed, the same bits again."""
    learner_rank.learn(tmp_path, TOYS if kind == TOYS else openvla, LearnerGroup(), 2)
    ours = [load_file(together[kind] / f'state-{rank}.safetensors') for rank in range(PROCESSES)]
    one = load_file(tmp_path / 'state-0.safetensors')
    assert ours[0].keys() == one.keys()
    for key, value in one.items():
        assert torch.equal(ours[0][key], ours[1][key]), key
        # Another order of the sums. Of a whole tensor, because AdamW divides by gradients that may
        # be as small as their rounding: single weights differ by more.
        assert (ours[0][key] - value).norm() <= 2e-4 * value.norm(), key
    folders = (together[kind], tmp_path)
    figures = [json.loads((folder / 'figures.json').read_text()) for folder in folders]
    for mine, its in zip(*figures, strict=True):
        assert mine == pytest.approx(its, rel=1e-4, abs=1e-6)
    compare_resumed(together[kind])
    held = [json.loads((together[kind] / f'held-{r}.json').read_text()) for r in range(PROCESSES)]
    for rank in held:
        if kind == TOYS:
            assert rank['here'] == rank['all']
        else:
            assert rank['here'] < rank['all']


@pytest.mark.timeout(300)
def test_a_group_goes_on_with_an_adapter_as_its_reference(together):
    """Split among two processes with bfloat16 weights beside its float32; the same bits again."""
    compare_resumed(together['adapted'])
    first, second = json.loads((together['adapted'] / 'figures.json').read_text())
    assert first['reference_kl'] == pytest.approx(0.0, abs=1e-6)
    assert second['reference_kl'] > 1e-6


@pytest.mark.timeout(300)
def test_a_group_treats_a_policy_without_a_course_as_one_process_does(together, tmp_path):
    """Both ranks refuse it by the same word under the anchor, and learn the same without."""
    learner_rank.learn_without_course(tmp_path, LearnerGroup())
    one, *ranks = (
        json.loads((folder / f'without-course-{rank}.json').read_text())
        for folder, rank in ((tmp_path, 0), (together[TOYS], 0), (together[TOYS], 1))
    )
    for said in ranks:
        assert said.keys() == one.keys()
        for case, word in one.items():
            if case.endswith(' 0'):
                for mine, its in zip(said[case], word, strict=True):
                    torch.testing.assert_close(torch.tensor(mine), torch.tensor(its))
            else:
                assert said[case] == word
    anchored = [word for case, word in one.items() if not case.endswith(' 0')]
    assert all('course_coefficient=0' in word for word in anchored)
    assert len(anchored) == 2


@pytest.mark.timeout(300)
def test_a_part_without_gradient_is_left_alone_in_a_group_too(together, tmp_path):
    """Weight decay takes hold only of what learns, in however many processes."""
    learner_rank.learn_beside_idle_part(tmp_path, LearnerGroup())
    for folder, rank in ((tmp_path, 0), (together[TOYS], 0), (together[TOYS], 1)):
        assert json.loads((folder / f'idle-part-{rank}.json').read_text()) == [1.0] * 3


def compare_resumed(folder: Path) -> None:
    """Hold what both ranks ended with, and the resumed run, to the same bits."""
    ended, other = (load_file(folder / f'state-{rank}.safetensors') for rank in range(PROCESSES))
    assert ended.keys() == other.keys()
    for key, value in ended.items():
        assert torch.equal(value, other[key]), key
    resumed = load_file(folder / 'resumed.safetensors')
    assert resumed.keys() == {key for key in ended if key.startswith('weight.')}
    for key, value in resumed.items():
        assert torch.equal(value, ended[key]), key


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
