"""What OpenVLA is shown: mirrored and cropped as it was trained, prepared ahead or when asked."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.openvla import image_preparation
from smoothvla_ros.policies.openvla.image_preparation import ImagePreparation
from smoothvla_ros.policies.openvla.settings import OpenVLASettings

SIZE = 224


def prepared(observations, **settings) -> np.ndarray:
    """Return what a preparation of these settings makes of observations."""
    return ImagePreparation(OpenVLASettings(**settings), SIZE).prepared(observations)


def test_images_are_mirrored_as_in_the_data(observe):
    """An upright image is LIBERO's training image seen in a mirror; a setting leaves it."""
    observation = observe(3, size=256)
    flipped = replace(
        observation, images={name: image[:, ::-1] for name, image in observation.images.items()}
    )
    mirrored = prepared([observation])
    assert mirrored.shape == (1, 1, SIZE, SIZE, 3)
    assert np.array_equal(mirrored, prepared([flipped], mirrored=False))
    assert not np.array_equal(mirrored, prepared([observation], mirrored=False))
    assert not np.array_equal(mirrored, prepared([observation], center_crop=False))


def test_what_was_expected_is_prepared_once_and_is_the_same(observe, monkeypatch):
    """Begun before it is asked for, in any order, by the observation itself; each one once."""
    resize, calls = image_preparation.resize, []

    def counted(image, size):
        calls.append(threading.current_thread().name)
        return resize(image, size)

    monkeypatch.setattr(image_preparation, 'resize', counted)
    observations = [observe(number) for number in range(4)]
    preparation = ImagePreparation(OpenVLASettings(), SIZE)
    preparation.expect(observations)
    begun = [future for _, future in preparation._begun.values()]
    assert [future.result(timeout=60).shape for future in begun] == [(1, SIZE, SIZE, 3)] * 4
    images = preparation.prepared([observations[2], observations[0]])
    assert np.array_equal(images, prepared([observations[2], observations[0]]))
    assert np.array_equal(preparation.prepared(observations[2:3]), images[:1])
    # Four expected, two of a preparation of its own, one asked for again.
    assert len(calls) == 7
    assert all(name.startswith('openvla-images') for name in calls)
    assert set(preparation._begun) == {id(observations[1]), id(observations[3])}


def test_passes_larger_than_what_is_begun_ahead_prepare_nothing_twice(observe, monkeypatch):
    """However many rows a pass has; before the next pass its first ones are begun."""
    monkeypatch.setattr(image_preparation, '_AHEAD', 4)
    monkeypatch.setattr(image_preparation, 'resize', lambda image, size: image[:8, :8])
    monkeypatch.setattr(image_preparation, 'center_crop', lambda image: image)
    preparation = ImagePreparation(OpenVLASettings(), SIZE)
    submitted = []
    submit = preparation._submit
    monkeypatch.setattr(
        preparation, '_submit', lambda one: submitted.append(id(one)) or submit(one)
    )
    observations = [observe(number) for number in range(30)]
    preparation.expect(observations)
    for first in range(0, 30, 10):
        assert len(preparation._begun) == 4
        preparation.prepared(observations[first : first + 10])
    assert submitted == [id(observation) for observation in observations]
    assert not preparation._begun


def test_an_observation_twice_and_one_that_nobody_expected(observe):
    """A row that is there twice is answered twice; expecting others forgets the first."""
    first, second = observe(1), observe(2)
    preparation = ImagePreparation(OpenVLASettings(), SIZE)
    preparation.expect([first, first])
    assert len(preparation.prepared([first, first])) == 2
    preparation.expect([first])
    preparation.expect([second])
    assert np.array_equal(preparation.prepared([first]), prepared([first]))


def test_a_missing_camera_is_named_when_it_is_asked_for(observe):
    """Not in a thread that nobody looks at."""
    observation = replace(observe(0), images={})
    preparation = ImagePreparation(OpenVLASettings(), SIZE)
    preparation.expect([observation])
    with pytest.raises(UserError, match='agentview'):
        preparation.prepared([observation])
