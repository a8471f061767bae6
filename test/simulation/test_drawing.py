"""What profile `fast` changes, and that it changes nothing else."""

import gc

import mujoco
import numpy as np
import pytest
from PIL import Image

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.mesh_clustering import cluster_drawn_meshes
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.rendering.texture_files import with_reduced_textures


def bumpy_sheet(points):
    """Return a scene with a finely triangulated sheet of 0.1 m that a ball falls on."""
    axis = np.linspace(-0.05, 0.05, points)
    x, y = np.meshgrid(axis, axis, indexing='ij')
    z = 0.004 * np.cos(40 * x) * np.cos(40 * y)
    vertices = ' '.join(f'{value:.6f}' for value in np.stack([x, y, z], axis=-1).reshape(-1))
    corner = (np.arange(points - 1)[:, None] * points + np.arange(points - 1)).reshape(-1)
    faces = np.concatenate(
        [
            np.stack([corner, corner + points, corner + 1], axis=1),
            np.stack([corner + 1, corner + points, corner + points + 1], axis=1),
        ]
    )
    indices = ' '.join(map(str, faces.reshape(-1)))
    return f"""<mujoco><asset><mesh name="sheet" vertex="{vertices}" face="{indices}"
        inertia="shell"/></asset><worldbody><geom type="mesh" mesh="sheet"/><body pos="0 0 0.1">
        <freejoint/><geom type="sphere" size="0.02" mass="0.1"/></body></worldbody></mujoco>"""


def test_clustering_leaves_fewer_triangles_no_farther_away_than_a_cell():
    """Pins that each drawn corner moves less than a cell's diagonal and no triangle is a line."""
    model = mujoco.MjModel.from_xml_string(bumpy_sheet(41))
    original = model.mesh_vert[model.mesh_face].copy()
    before, after = cluster_drawn_meshes(model, cell_m=0.005, smallest_mesh_faces=100)
    assert before == len(original) == 3200
    assert 100 < after < before / 2
    assert after == model.mesh_facenum[0]
    faces = model.mesh_face[:after]
    assert (faces[:, 0] != faces[:, 1]).all()
    assert len(np.unique(np.sort(faces, axis=1), axis=0)) == after
    corners = model.mesh_vert[faces].reshape(-1, 3)
    for vertex in model.mesh_vert:
        assert np.linalg.norm(corners - vertex, axis=1).min() < 0.005 * np.sqrt(3)


def test_clustering_does_not_touch_the_physics():
    """Pins that a ball that falls on a clustered mesh moves as on the original, to the bit."""
    paths = []
    for clustered in (False, True):
        model = mujoco.MjModel.from_xml_string(bumpy_sheet(41))
        if clustered:
            cluster_drawn_meshes(model, cell_m=0.01, smallest_mesh_faces=100)
        data = mujoco.MjData(model)
        path = []
        for _ in range(300):
            mujoco.mj_step(model, data)
            path.append(data.qpos.copy())
        assert data.ncon > 0
        paths.append(np.array(path))
    np.testing.assert_array_equal(*paths)


def test_reduced_textures_are_the_means_of_squares_and_small_ones_stay(tmp_path):
    """Pins size and values of a reduced image, and that a small file is not replaced."""
    generator = np.random.default_rng(0)
    big = generator.integers(0, 256, (256, 192, 3), dtype=np.uint8)
    Image.fromarray(big).save(tmp_path / 'big.png')
    Image.fromarray(big[:32, :32]).save(tmp_path / 'small.png')
    scene = f"""<mujoco><asset><texture name="big" type="2d" file="{tmp_path}/big.png"/>
        <texture name="small" type="2d" file="{tmp_path}/small.png"/></asset></mujoco>"""
    reduced, assets = with_reduced_textures(scene, largest_edge=64)
    model = mujoco.MjModel.from_xml_string(reduced, assets)
    assert len(assets) == 1
    assert model.tex_height.tolist() == [64, 32]
    assert model.tex_width.tolist() == [48, 32]
    pixels = model.tex_data[: 64 * 48 * 3].reshape(64, 48, 3).astype(float)
    means = big.reshape(64, 4, 48, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels, means, atol=1.0)


def test_the_fast_profile_changes_pixels_a_little_and_the_physics_not_at_all(
    spatial_environment, pushing_actions
):
    """Pins that fast images show the same scene, and that drawing does not disturb the motion."""
    name = EpisodeName('libero_spatial', 0, init_state=1, scene_seed=2)
    stock = Environment(spatial_environment.task, RenderSettings(profile='stock', size=64))
    trajectories, images = [], []
    for environment in (spatial_environment, stock):
        environment.reset(name)
        for action in pushing_actions(4):
            environment.step(action)
            images.append(environment.render('agentview').astype(float))
        trajectories.append(environment.trajectory().substep_joint_positions)
    np.testing.assert_array_equal(*trajectories)
    fast_image, stock_image = images[3], images[7]
    difference = np.abs(fast_image - stock_image).mean()
    upside_down = np.abs(fast_image - stock_image[::-1]).mean()
    assert 0 < difference < 15
    assert upside_down > 2 * difference


def test_renderers_of_one_process_do_not_disturb_each_other(spatial_environment):
    """Pins a scene's pixels while another one is drawn in between, and after that one is gone."""
    name = EpisodeName('libero_spatial', 0, init_state=1, scene_seed=2)
    spatial_environment.reset(name)
    alone = spatial_environment.render('agentview')
    other = Environment(spatial_environment.task, RenderSettings(profile='stock', size=32))
    other.reset(name)
    other_alone = other.render('wrist')
    np.testing.assert_array_equal(spatial_environment.render('agentview'), alone)
    np.testing.assert_array_equal(other.render('wrist'), other_alone)
    other.close()
    del other
    gc.collect()
    np.testing.assert_array_equal(spatial_environment.render('agentview'), alone)


def test_an_unknown_camera_or_profile_is_a_user_error(spatial_environment):
    """Pins one line that names the valid ones."""
    with pytest.raises(UserError, match=r"'overhead'.*agentview, wrist"):
        spatial_environment.render('overhead')
    with pytest.raises(UserError, match=r'overhead.*agentview, wrist'):
        RenderSettings(cameras=('overhead',))
    with pytest.raises(UserError, match=r'fancy.*stock, fast'):
        RenderSettings(profile='fancy')
    with pytest.raises(UserError, match='too small'):
        RenderSettings(size=0)
