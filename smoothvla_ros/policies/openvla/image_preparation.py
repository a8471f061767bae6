"""From a robot's cameras to what OpenVLA was trained to see, some images at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from smoothvla_ros.policies.images import camera_image
from smoothvla_ros.policies.openvla.images import center_crop, resize
from smoothvla_ros.policies.openvla.settings import OpenVLASettings
from smoothvla_ros.records import Observation

# Observations whose images are begun before they are asked for.
_AHEAD = 64


class ImagePreparation:
    """Images of the settings' cameras, prepared in threads: most of it is outside Python's lock.

    As many threads as PyTorch has when the first are asked for.
    """

    def __init__(self, settings: OpenVLASettings, size: int) -> None:
        """size: height and width that the network sees."""
        self._settings = settings
        self._size = size
        self._threads: ThreadPoolExecutor | None = None
        # By the observation's identity, with the observation, which keeps that from being reused.
        self._expected: dict[int, Observation] = {}
        self._begun: dict[int, tuple[Observation, Future[np.ndarray]]] = {}

    def expect(self, observations: Sequence[Observation]) -> None:
        """Prepare ahead what `prepared` will be asked for, in that order.

        Instead of what was expected before and not asked for.
        """
        for _, images in self._begun.values():
            images.cancel()
        self._begun = {}
        self._expected = {id(observation): observation for observation in observations}
        self._go_on()

    def prepared(self, observations: Sequence[Observation]) -> np.ndarray:
        """Return uint8 [B, cameras, size, size, 3].  Raises UserError for a missing camera."""
        images = []
        for observation in observations:
            self._expected.pop(id(observation), None)
            begun = self._begun.pop(id(observation), None)
            images.append(begun[1] if begun is not None else self._submit(observation))
        answer = np.stack([image.result() for image in images])
        self._go_on()
        return answer

    def _go_on(self) -> None:
        while self._expected and len(self._begun) < _AHEAD:
            identity = next(iter(self._expected))
            observation = self._expected.pop(identity)
            self._begun[identity] = observation, self._submit(observation)

    def _submit(self, observation: Observation) -> Future[np.ndarray]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(torch.get_num_threads(), 'openvla-images')
        return self._threads.submit(self._prepare, observation)

    def _prepare(self, observation: Observation) -> np.ndarray:
        views = []
        for camera in self._settings.cameras:
            image = camera_image(
                observation, camera, 'publish it, or leave it out of "cameras" in openvla.json'
            )
            if self._settings.mirrored:
                image = image[:, ::-1]
            fitted = resize(np.ascontiguousarray(image), self._size)
            if self._settings.center_crop:
                fitted = center_crop(fitted)
            views.append(fitted)
        return np.stack(views)
