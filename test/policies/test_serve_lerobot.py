"""The server of LeRobot's policies, with a stand-in for LeRobot: what goes in and what comes out.

LeRobot itself needs other versions of NumPy and torch; with it the same was run by hand
(docs/policy.md).
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from test_policy_server import act, observation

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy

SCRIPT = Path(__file__).parents[2] / 'examples' / 'serve_lerobot.py'

# A policy whose answer tells what it saw, and processors that leave marks of their own.
STAND_IN = {
    'lerobot/configs/policies.py': """
        import json, pathlib
        class PreTrainedConfig:
            @classmethod
            def from_pretrained(cls, path):
                config = cls()
                vars(config).update(json.loads((pathlib.Path(path) / 'config.json').read_text()))
                return config
    """,
    'lerobot/policies/factory.py': """
        import torch
        class Policy:
            @classmethod
            def from_pretrained(cls, path, *, config):
                policy = cls()
                policy.config = config
                return policy
            def eval(self):
                pass
            def predict_action_chunk(self, batch):
                assert not torch.is_grad_enabled()
                if batch['task'] == ['put the bowl on the stove']:
                    raise KeyError('observation.state')
                views = [batch[key] for key in self.config.image_features]
                assert all(view.shape == (1, 3, 256, 256) for view in views)
                state = batch['observation.state']
                assert state.shape == (1, 8) and state.dtype == torch.float32
                row = torch.stack([
                    views[0][0, 1, 128, 0], views[0][0, 1, 128, -1], views[-1][0, 0, 128, 0],
                    state[0, 6], state[0, 7], torch.tensor(float(batch['marked'])),
                    torch.tensor(float(len(batch['task'][0]))),
                ])
                return row.repeat(20, 1)[None] + torch.arange(20)[None, :, None]
        def get_policy_class(kind):
            assert kind == 'act'
            return Policy
        def make_pre_post_processors(config, pretrained_path, preprocessor_overrides):
            assert preprocessor_overrides == {'device_processor': {'device': 'cpu'}}
            def finish(step):
                assert step.shape == (1, 7)
                return step / 100
            return (lambda batch: batch | {'marked': True}), finish
    """,
}


@pytest.fixture
def policy_folder(tmp_path):
    """Return a function that writes what LeRobot would have saved, and the stand-in."""
    for name, code in STAND_IN.items():
        path = tmp_path / 'site' / name
        path.parent.mkdir(parents=True)
        lines = code.splitlines()[1:]
        path.write_text('\n'.join(line[8:] for line in lines) + '\n')

    def written(**changes):
        views = ['observation.images.image', 'observation.images.image2']
        config = {'type': 'act', 'n_obs_steps': 1, 'image_features': views} | changes
        folder = tmp_path / 'lerobot_policy'
        folder.mkdir()
        (folder / 'config.json').write_text(json.dumps(config))
        return folder

    return written


@contextmanager
def server_of(folder, *words):
    """Run the script, and yield the process when it serves or has ended."""
    command = [sys.executable, '-u', str(SCRIPT), str(folder), '--port', '0', '--device', 'cpu']
    site = str(folder.parent / 'site')
    process = subprocess.Popen(
        [*command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={'PYTHONPATH': site, 'PATH': '/usr/bin:/bin'},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def asked(process, tmp_path):
    """Return the policy that asks a server that has just begun."""
    address = process.stdout.readline().split()[-1]
    folder = tmp_path / 'served'
    folder.mkdir()
    settings = {'type': 'policy_server', 'address': address, 'image_size': 256, 'chunk': 10}
    (folder / 'config.json').write_text(json.dumps(settings))
    return load_policy(folder)


def test_policy_sees_what_lerobot_shows_it_in_libero(policy_folder, tmp_path):
    """Views turned by half a turn, state and task; every step goes through the processors."""
    with server_of(policy_folder()) as process:
        policy = asked(process, tmp_path)
        seen = observation()
        chunk = act(policy, seen)[0]
        assert chunk.shape == (10, 7)
        first = 100 * chunk[0]
        bright = seen.images['agentview'][128, ::-1, 1] / 255
        assert np.allclose(first[:2], bright[[0, -1]], atol=1e-6)
        assert first[2] == pytest.approx(seen.images['wrist'][128, -1, 0] / 255, abs=1e-6)
        assert np.allclose(first[3:], [0.03, -0.03, 1.0, len(seen.instruction)], atol=1e-6)
        assert np.allclose(np.diff(chunk, axis=0), 0.01)


def test_error_of_the_policy_is_told_and_the_server_goes_on(policy_folder, tmp_path):
    """One observation that it cannot use is no end of an evaluation."""
    with server_of(policy_folder()) as process:
        policy = asked(process, tmp_path)
        with pytest.raises(UserError, match=r"failed: KeyError: 'observation.state'"):
            act(policy, observation(instruction='put the bowl on the stove'))
        assert act(policy, observation()).shape == (1, 10, 7)


@pytest.mark.parametrize(
    ('config', 'said'),
    [
        ({'n_obs_steps': 2}, 'looks at 2 observations at once'),
        (
            {'image_features': ['observation.images.top']},
            'looks at observation.images.top; say which is which with --image and --wrist',
        ),
    ],
)
def test_policy_that_cannot_be_served_is_one_line(policy_folder, config, said):
    """Before anybody waits for it."""
    with server_of(policy_folder(**config)) as process:
        _, text = process.communicate(timeout=60.0)
    assert process.returncode == 1
    assert said in text
    assert 'Traceback' not in text


def test_policy_with_one_view_is_shown_that_alone(policy_folder, tmp_path):
    """Under the name that it has for it."""
    folder = policy_folder(image_features=['observation.images.top'])
    with server_of(folder, '--image', 'observation.images.top') as process:
        policy = asked(process, tmp_path)
        assert act(policy, observation()).shape == (1, 10, 7)
