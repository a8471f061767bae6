"""The twin's cameras: drawn in a thread of their own, and what OpenGL does to two threads."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import mujoco
import numpy as np
import pytest
from twin_world import NAME, Hearer, advance

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.rendering import graphics
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin
from smoothvla_ros.simulation.twin.cameras import TwinCameras
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.runner import RunnerSettings, TwinRunner


def test_cameras_draw_the_offered_state_in_their_thread():
    """What is delivered carries its stamp, and differs once the arm has moved.

    In a process of its own: the one OpenGL context of this process is with the thread that drew
    first, and other tests draw in the main one.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as process:
        images = process.submit(draw_before_and_after_a_motion).result(timeout=240.0)
    assert [stamp for stamp, _ in images] == [7, 8]
    assert set(images[0][1]) == {'agentview', 'wrist'}
    assert images[0][1]['wrist'].shape == (64, 64, 3)
    assert np.any(images[0][1]['wrist'] != images[1][1]['wrist'])


def draw_before_and_after_a_motion():
    """Offer two states to the cameras, the arm moved in between; returns what they delivered."""
    twin = ArmTwin(RenderSettings(size=64))
    twin.reset(NAME)
    images, delivered = [], threading.Event()

    def deliver(stamp, drawn):
        images.append((stamp, drawn))
        delivered.set()

    cameras = TwinCameras(deliver)
    try:
        cameras.prepare(twin.environment)
        for stamp in (7, 8):
            delivered.clear()
            assert cameras.offer(stamp, twin, wait=True)
            assert delivered.wait(60.0)
            twin.forward(twin.state().joint_positions + 0.1)
            advance(twin, 0.3)
    finally:
        cameras.close()
    return images


@pytest.mark.skipif(
    graphics.choose_backend() != 'egl', reason='only EGL lets go of a context for another thread'
)
def test_twin_whose_cameras_lose_opengl_ends_and_says_so():
    """While every image is waited for: one line, instead of a wait that never ends."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(target=play_until_opengl_is_taken_away, args=(theirs,))
    process.start()
    try:
        assert ours.poll(90.0), 'the twin waits for ever'
        error = ours.recv()
    finally:
        process.kill()
        process.join()
    assert "drawing camera 'agentview': eglMakeCurrent failed with EGL_BAD_ACCESS" in error


def play_until_opengl_is_taken_away(answer):
    """Run a twin whose OpenGL context another thread takes after an image; sends its error."""
    from OpenGL import EGL

    taken, over = threading.Event(), threading.Event()

    class Thief(Hearer):
        def images(self, stamp, images):
            if not taken.is_set():
                EGL.eglMakeCurrent(
                    mujoco.egl.EGL_DISPLAY,
                    EGL.EGL_NO_SURFACE,
                    EGL.EGL_NO_SURFACE,
                    EGL.EGL_NO_CONTEXT,
                )
                threading.Thread(target=take).start()
                taken.wait()

    def take():
        graphics.shared_context().make_current()
        taken.set()
        over.wait()

    settings = RunnerSettings(20.0, True, 250.0, 20.0, 0.0)
    twin, log = ArmTwin(RenderSettings(size=64)), EpisodeLog(None)
    runner = TwinRunner(twin, [NAME], settings, Thief(lambda _: False), log, 1_000_000_000)
    try:
        runner.run()
    except UserError as error:
        answer.send(str(error))
    finally:
        over.set()


class CheapScene:
    """Stands for an environment: a model, and a renderer that must go in its own thread."""

    def __init__(self, gone):
        self.model = mujoco.MjModel.from_xml_string('<mujoco/>')
        self.renderer = Renderer(gone)

    def prepare_rendering(self):
        pass

    def close(self):
        del self.renderer


class Renderer:
    """Says in which thread it went; in a cycle, as MuJoCo's are."""

    def __init__(self, gone):
        self.gone, self.itself = gone, self

    def __del__(self):
        self.gone.append(threading.current_thread().name)


def test_the_scene_before_is_let_go_in_the_thread_that_drew_it():
    """OpenGL forgets nothing in another thread: each change of task would keep 140 MB."""
    gone = []
    cameras = TwinCameras(lambda stamp, images: None)
    gc.disable()
    try:
        for _ in range(2):
            cameras.prepare(CheapScene(gone))
        assert len(gone) == 1
        assert gone[0].startswith('cameras')
    finally:
        gc.enable()
        cameras.close()
