"""How large a policy's images are drawn, from its files, against what the loaded policy says."""

from __future__ import annotations

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.image_size import image_size


def test_the_size_is_that_of_the_loaded_policy(policy, openvla_policy, openvla_folder, tmp_path):
    """The shipped policy, one of smaller images, a published checkpoint and what training wrote."""
    assert image_size('default') == load_policy('default').spec.image_size
    policy.save(tmp_path / 'small')
    assert image_size(tmp_path / 'small') == policy.spec.image_size == 32
    openvla = openvla_policy()
    openvla.save(tmp_path / 'openvla')
    assert image_size(tmp_path / 'openvla') == openvla.spec.image_size
    assert image_size(openvla_folder) == openvla.spec.image_size


def test_a_folder_that_does_not_say_is_named(tmp_path):
    """One line with the file, as for a folder that is not there."""
    with pytest.raises(UserError, match='not found at'):
        image_size(tmp_path / 'nowhere')
    (tmp_path / 'SHA256SUMS').write_text('')
    for content in ('', '{}', '[]', '{"image_size": "large"}'):
        (tmp_path / 'config.json').write_text(content)
        with pytest.raises(UserError, match=r'no image_size in config\.json'):
            image_size(tmp_path)
