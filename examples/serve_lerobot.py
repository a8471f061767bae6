"""Serve a LeRobot policy that was trained on LIBERO to smoothvla_ros, from LeRobot's environment.

    pip install lerobot msgpack websockets
    python serve_lerobot.py HuggingFaceVLA/smolvla_libero --device cuda

It speaks the protocol of openpi's policy servers and needs nothing of smoothvla_ros. The policy
folder on the other side is one file, {"type": "policy_server", "address": "ws://localhost:8000",
"image_size": 256, "chunk": 10}; docs/policy.md, "A policy in another program", has the rest.
For policies that look at one observation (ACT, SmolVLA, pi0, pi0.5); one that looks at several at
once (diffusion) is refused, because observations of different robots come in any order.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import traceback
from typing import Any

import msgpack
import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


class LeRobotPolicy:
    """A published policy with the processors that were saved beside it."""

    def __init__(self, path: str, device: str, image: str, wrist: str) -> None:
        """path: a folder or a name on the hub.  image, wrist: the policy's names of both views."""
        config = PreTrainedConfig.from_pretrained(path)
        config.device = device
        expected = set(config.image_features)
        if not expected <= {image, wrist}:
            raise SystemExit(
                f'{path} looks at {", ".join(sorted(expected))}; say which is which with --image '
                'and --wrist'
            )
        if config.n_obs_steps != 1:
            raise SystemExit(f'{path} looks at {config.n_obs_steps} observations at once, not one')
        self._views = {
            name: key
            for name, key in (('observation/image', image), ('observation/wrist_image', wrist))
            if key in expected
        }
        self._policy = get_policy_class(config.type).from_pretrained(path, config=config)
        self._policy.eval()
        self._prepare, self._finish = make_pre_post_processors(
            config,
            pretrained_path=path,
            preprocessor_overrides={'device_processor': {'device': device}},
        )
        self._lock = threading.Lock()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the actions [steps, 7] of a question of openpi's clients for LIBERO."""
        batch: dict[str, Any] = {
            key: torch.tensor(question[name]).permute(2, 0, 1)[None].float() / 255.0
            for name, key in self._views.items()
        }
        batch['observation.state'] = torch.tensor(question['observation/state'])[None].float()
        batch['task'] = [question['prompt']]
        with self._lock, torch.inference_mode():
            chunk = self._policy.predict_action_chunk(self._prepare(batch))
            steps = [self._finish(step) for step in chunk.unbind(1)]
        return {'actions': torch.stack(steps, 1)[0].float().cpu().numpy()}


def pack(value: Any) -> Any:
    """Return an array as the map that openpi's clients take for one."""
    if isinstance(value, np.ndarray):
        return {
            b'__ndarray__': True,
            b'data': value.tobytes(),
            b'dtype': value.dtype.str,
            b'shape': value.shape,
        }
    raise TypeError(type(value).__name__)


def unpack(entries: dict[Any, Any]) -> Any:
    """Return the array of such a map, and any other as it is."""
    if b'__ndarray__' not in entries:
        return entries
    numbers = np.frombuffer(entries[b'data'], np.dtype(entries[b'dtype']))
    return numbers.reshape(entries[b'shape'])


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('policy', help='folder, or name on the hub')
    parser.add_argument('--host', default='localhost', help='0.0.0.0 for other machines')
    parser.add_argument('--port', type=int, default=8000)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--image', default='observation.images.image', help='view of the scene')
    parser.add_argument('--wrist', default='observation.images.image2', help='view of the wrist')
    given = parser.parse_args()
    policy = LeRobotPolicy(given.policy, given.device, given.image, given.wrist)

    def talk(connection: ServerConnection) -> None:
        connection.send(msgpack.packb({'policy': given.policy}))
        while True:
            try:
                question = msgpack.unpackb(connection.recv(), object_hook=unpack)
                connection.send(msgpack.packb(policy.answer(question), default=pack))
            except ConnectionClosed:
                return
            except Exception:
                # The client hears of it, whatever it is; websockets logs it and serves the others.
                connection.send(traceback.format_exc())
                raise

    with serve(talk, given.host, given.port, compression=None, max_size=None) as server:
        print(f'serving {given.policy} on ws://{given.host}:{server.socket.getsockname()[1]}')
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == '__main__':
    main()
