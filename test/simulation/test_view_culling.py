"""Geoms beside a camera's image are not drawn, and the image does not change."""

import mujoco
import numpy as np
import pytest

from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.rendering.view_culling import ViewCulling

# A camera at the origin that looks along +x with 90 degrees: |y| <= x and |z| <= x is seen.
BOXES = {
    'ahead': ('2 0 0', '0.1 0.1 0.1', False),
    'at_the_edge': ('2 2.05 0', '0.1 0.1 0.1', False),
    'left': ('2 2.3 0', '0.1 0.1 0.1', True),
    'right': ('2 -2.3 0', '0.1 0.1 0.1', True),
    'above': ('2 0 2.3', '0.1 0.1 0.1', True),
    'below': ('2 0 -2.3', '0.1 0.1 0.1', True),
    'behind': ('-2 0 0', '0.1 0.1 0.1', True),
    'around_the_camera': ('0 0 0', '1 1 1', False),
    'across_the_image': ('2 0 0', '0.1 9 0.1', False),
    'beside_in_its_length': ('2 2.3 0', '0.1 0.1 9', True),
}


def scene(turned=''):
    geoms = ''.join(
        f'<geom name="{name}" type="box" pos="{position}" size="{size}"/>'
        for name, (position, size, _) in BOXES.items()
    )
    return f"""<mujoco><worldbody><camera name="camera" xyaxes="0 -1 0 0 0 1" fovy="90"/>
        <geom name="floor" type="plane" size="0 0 1" pos="-9 0 -3"/>
        <geom name="turned" type="box" pos="2 2.7 0" size="0.9 0.1 0.1" {turned}/>
        {geoms}</worldbody></mujoco>"""


def hidden(xml):
    """Return the names of the geoms that the camera misses."""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    mask = ViewCulling(model, mujoco.MjvOption()).hidden(data, 0)
    return {model.geom(index).name for index in np.flatnonzero(mask)}


def test_only_what_lies_wholly_beside_the_image_is_hidden():
    """Pins each side, what reaches into the image, what is around the camera, and planes."""
    expected = {name for name, (_, _, is_hidden) in BOXES.items() if is_hidden}
    assert hidden(scene()) - {'turned'} == expected
    assert 'turned' not in hidden(scene())  # its far end is seen
    assert 'turned' in hidden(scene('euler="0 90 0"'))


def test_groups_that_are_not_drawn_are_not_looked_at():
    """Pins that a geom of a group that is off is neither hidden nor an error."""
    model = mujoco.MjModel.from_xml_string(scene())
    model.geom_group[:] = 2
    option = mujoco.MjvOption()
    option.geomgroup[2] = 0
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert not ViewCulling(model, option).hidden(data, 0).any()


@pytest.mark.parametrize('camera', ['agentview', 'wrist'])
def test_an_image_is_the_same_with_and_without_what_it_cannot_show(
    spatial_environment, pushing_actions, monkeypatch, camera
):
    """Pins every pixel along a motion that turns the wrist camera, a part of it hidden."""
    spatial_environment.reset(EpisodeName('libero_spatial', 0, init_state=4, scene_seed=3))
    shares, images = [], []
    apply = ViewCulling.apply

    def counted(culling, data, index, drawn):
        before = drawn.ngeom
        apply(culling, data, index, drawn)
        kinds = [drawn.geoms[i].type for i in range(before)]
        shares.append(kinds.count(mujoco.mjtGeom.mjGEOM_NONE) / before)

    for action in pushing_actions(30, seed=1):
        spatial_environment.step(action)
        with monkeypatch.context() as watched:
            watched.setattr(ViewCulling, 'apply', counted)
            culled = spatial_environment.render(camera)
        with monkeypatch.context() as everything_drawn:
            everything_drawn.setattr(ViewCulling, 'apply', lambda *_: None)
            images.append(spatial_environment.render(camera))
        np.testing.assert_array_equal(culled, images[-1])
    assert np.ptp(images, axis=0).max() > 50
    assert min(shares) > (0.1 if camera == 'agentview' else 0.3)
