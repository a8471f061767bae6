"""Rollouts from real actors of a real Ray on this machine, in a toy world and in the simulator."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from test_grpo_trainer import SMALL, Run
from test_process_rollouts import requests, tokens_by_id
from toy_world import ToyPolicy, ToyRobot, load_toy

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.rollouts import process as process_rollouts
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource
from smoothvla_ros.training.rollouts.ray_rollouts import RayRolloutSource
from smoothvla_ros.training.rollouts.ray_settings import RaySettings

TWO = RaySettings(actors=2, object_store_mb=100)
# Figures of an iteration that time alone decides.
TIMING = {'rollout_seconds', 'update_seconds', 'episodes_per_minute'}


class DeadlyRobot(ToyRobot):
    """Kills its own process in the middle of an episode, as the out-of-memory killer would.

    deaths: a folder; each file in it kills once.
    """

    def __init__(self, deaths: Path) -> None:
        self._deaths, self._calls = deaths, 0

    def reset(self, name, timeout_s):
        """Begin."""
        self._calls = 0
        return super().reset(name, timeout_s)

    def execute(self, actions, timeout_s, observe=True):
        """Die at the third chunk."""
        self._calls += 1
        if self._calls == 3:
            for file in self._deaths.iterdir():
                with contextlib.suppress(FileNotFoundError):  # another robot was faster
                    file.rename(self._deaths.with_name(f'died-{os.getpid()}'))
                    os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(actions, timeout_s, observe)


class ToyPool:
    """Toy robots in place of workers."""

    def __init__(self, count: int, deaths: Path) -> None:
        self.workers = [DeadlyRobot(deaths) for _ in range(count)]

    def close(self) -> None:
        """Nothing to stop."""


class Choosy(ToyPolicy):
    """A toy policy that cannot use some observations."""

    def act(self, observations, *, temperature, seeds):
        """Refuse the seeds of a request at temperature 2."""
        if temperature == 2.0:
            raise UserError('NaN in an observation')
        return super().act(observations, temperature=temperature, seeds=seeds)


def load_choosy(folder: Path, device: str = 'cpu') -> Choosy:
    """Read it."""
    policy = Choosy()
    policy.module.load_state_dict(load_toy(folder).module.state_dict())
    return policy


@pytest.fixture(scope='module')
def ray():
    """Start Ray once, on the loopback interface; the sources of this module find it running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER', '0')
        patch.setenv('RAY_USAGE_STATS_ENABLED', '0')
        for folder in Path(__file__).parents[:2]:  # this module, and the toys that it imports
            patch.setenv('PYTHONPATH', str(folder), prepend=os.pathsep)
        patch.setenv('OMP_NUM_THREADS', '1')
        import ray

        ray.init(
            address='local',
            num_cpus=8,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
        )
        yield ray
        ray.shutdown()


@pytest.fixture(scope='module')
def deaths(tmp_path_factory) -> Path:
    """Return the folder whose files kill."""
    return tmp_path_factory.mktemp('ray') / 'deaths'


@pytest.fixture(scope='module')
def two_actors(ray, deaths):
    """Return a source of two actors, which decide for themselves, of two robots each."""
    deaths.mkdir(exist_ok=True)
    pool = partial(ToyPool, 2, deaths)
    with RayRolloutSource(load_choosy, 2, RenderSettings(), TWO, make_pool=pool) as source:
        yield source


@pytest.fixture(scope='module')
def with_inference(ray, deaths):
    """Return a source of an actor with two robots, for which another decides."""
    deaths.mkdir(exist_ok=True)
    settings = RaySettings(actors=1, inference_actors=1, inference_device='cpu')
    pool = partial(ToyPool, 2, deaths)
    with RayRolloutSource(load_choosy, 2, RenderSettings(), settings, make_pool=pool) as source:
        yield source


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Return a source of this process with toy robots."""
    nobody = tmp_path / 'no_deaths'
    nobody.mkdir()
    pool = partial(ToyPool, 2, nobody)
    monkeypatch.setattr(process_rollouts, 'WorkerPool', lambda count, render: pool())
    return ProcessRolloutSource(load_toy, 2, RenderSettings())


def serve(source, folder, version=0, seed=0):
    """Give a source a policy."""
    ToyPolicy(seed).save(folder)
    source.update_policy(version, folder, folder_sha256(folder))
    return source


def assert_same_episodes(ours, theirs):
    """Every bit that a trainer or a reward could see."""
    ours = {e.request.episode_id: e for e in ours}
    theirs = {e.request.episode_id: e for e in theirs}
    assert ours.keys() == theirs.keys()
    for key, one in ours.items():
        other = theirs[key]
        assert one.success == other.success
        for name in ('actions', 'joint_positions', 'substep_joint_positions'):
            a, b = getattr(one.trajectory, name), getattr(other.trajectory, name)
            assert np.array_equal(a, b), (key, name)
        assert len(one.chunks) == len(other.chunks)
        for mine, its in zip(one.chunks, other.chunks, strict=True):
            assert np.array_equal(mine.tokens, its.tokens)
            assert np.array_equal(mine.log_probs, its.log_probs)
            for camera, image in mine.observation.images.items():
                assert np.array_equal(image, its.observation.images[camera])


@pytest.mark.parametrize('name', ['two_actors', 'with_inference'])
def test_episodes_are_those_of_one_process(request, name, in_process, tmp_path):
    """Bit for bit, whether an actor decides itself or asks another; every new version too."""
    source = request.getfixturevalue(name)
    for version in range(2):
        folder = tmp_path / f'version_{version}'
        wanted = requests(5, tasks=(0, 1), version=version)
        ours = list(serve(source, folder, version, seed=version).collect(wanted))
        theirs = list(serve(in_process, folder, version, seed=version).collect(wanted))
        assert_same_episodes(ours, theirs)
        assert source.lost() == ()


def test_a_killed_actor_costs_its_episodes_which_are_run_again(
    two_actors, in_process, deaths, tmp_path, caplog
):
    """SIGKILL within an iteration: weights and figures as without, no episode counted twice."""
    (deaths / 'one').touch()
    runs = []
    for source in (two_actors, in_process):
        run = Run(tmp_path / type(source).__name__, SMALL, source)
        figures = [run.iterate() for _ in range(2)]
        runs.append((run, [{k: v for k, v in f.items() if k not in TIMING} for f in figures]))
    (died,) = deaths.parent.glob('died-*')
    with pytest.raises(ProcessLookupError):
        os.kill(int(died.name.removeprefix('died-')), 0)
    assert 'its rollout actor was lost' in caplog.text
    (ours, our_figures), (theirs, their_figures) = runs
    assert our_figures == their_figures
    assert torch.equal(ours.weights, theirs.weights)
    for iteration, episodes in ours.rollouts.items():
        ids = [episode.request.episode_id for episode in episodes]
        assert len(ids) == len(set(ids))
        assert_same_episodes(episodes, theirs.rollouts[iteration])


def test_a_killed_inference_actor_is_replaced_and_knows_the_weights(
    with_inference, in_process, tmp_path, ray
):
    """The robots' episodes are run again with the same bits."""
    serve(with_inference, tmp_path)
    wanted = requests(6)
    episodes = with_inference.collect(wanted)
    first = next(episodes)
    ray.kill(with_inference._fleet._thinkers[0].handle)
    assert_same_episodes([first, *episodes], serve(in_process, tmp_path).collect(wanted))
    assert with_inference.lost() == ()


@pytest.mark.slow
def test_a_place_where_actors_die_one_after_the_other_is_named(ray, tmp_path):
    """They are not started for ever."""
    deaths = tmp_path / 'deaths'
    deaths.mkdir()
    for number in range(9):
        (deaths / str(number)).touch()
    pool, one = partial(ToyPool, 1, deaths), RaySettings(actors=1)
    with RayRolloutSource(load_choosy, 1, RenderSettings(), one, make_pool=pool) as source:
        serve(source, tmp_path / 'policy')
        with pytest.raises(UserError, match='3 actors in a row were lost'):
            list(source.collect(requests(1)))


def test_other_versions_and_changed_weights_are_refused(two_actors, tmp_path):
    """As in one process."""
    serve(two_actors, tmp_path)
    with pytest.raises(UserError, match='version 1'):
        list(two_actors.collect(requests(1, version=1)))
    announced = folder_sha256(tmp_path)
    ToyPolicy(1).save(tmp_path)
    with pytest.raises(UserError, match='changed'):
        two_actors.update_policy(1, tmp_path, announced)


def test_a_users_error_arrives_as_it_was_raised(two_actors, tmp_path):
    """One line, though every robot of both actors fails; nothing is left under way."""
    serve(two_actors, tmp_path)
    while not all(member.ready for member in two_actors._fleet._players):
        two_actors._fleet.next()
    hot = [dataclasses.replace(request, temperature=2.0) for request in requests(6)]
    with pytest.raises(UserError) as raised:
        list(two_actors.collect(hot))
    assert str(raised.value) == 'NaN in an observation'
    assert not two_actors._fleet.busy


def test_stopping_early_leaves_nothing_under_way(two_actors, tmp_path):
    """A caller that takes one episode and leaves; the next call is not confused by the rest."""
    serve(two_actors, tmp_path)
    episodes = two_actors.collect(requests(50))
    next(episodes)
    episodes.close()
    assert not two_actors._fleet.busy
    assert len(tokens_by_id(two_actors.collect(requests(3)))) == 3


def test_a_cluster_that_is_too_small_is_named(ray):
    """Before anything is started."""
    with pytest.raises(UserError, match='need 9 CPUs, the cluster has 8'):
        RayRolloutSource(load_choosy, 3, RenderSettings(), RaySettings(actors=3))
    with pytest.raises(UserError, match='need 1 GPUs'):
        RayRolloutSource(load_choosy, 1, RenderSettings(), RaySettings(inference_actors=1))


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    """The package runs without the extra, and names it where it is asked for."""
    import_as_before = builtins.__import__

    def no_ray(name, *arguments, **others):
        if name == 'ray':
            raise ImportError(name)
        return import_as_before(name, *arguments, **others)

    monkeypatch.setattr(builtins, '__import__', no_ray)
    with pytest.raises(UserError, match="extra 'scale'"):
        RayRolloutSource(load_choosy, 1, RenderSettings(), TWO)


def test_ray_is_imported_only_where_it_is_used():
    """Neither training nor the command waits for it, or needs it."""
    code = (
        'import sys, smoothvla_ros.workflows.training.command; '
        'import smoothvla_ros.training.rollouts.ray_rollouts; '
        'sys.exit("ray" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_episodes_of_the_simulator_are_those_of_one_process(ray):
    """The shipped policy in LIBERO on two actors, one killed: bit for bit those of this process."""
    folder = policy_folder('default')
    spec = load_policy(folder).spec
    render = RenderSettings('fast', spec.image_size, spec.cameras)
    wanted = [dataclasses.replace(r, temperature=0.5) for r in requests(4, tasks=(0, 1))]
    with ProcessRolloutSource(load_policy, 2, render) as source:
        source.update_policy(0, folder, folder_sha256(folder))
        theirs = list(source.collect(wanted))
    with RayRolloutSource(load_policy, 1, render, TWO) as source:
        source.update_policy(0, folder, folder_sha256(folder))
        episodes = source.collect(wanted)
        ours = [next(episodes)]
        busy = next(m for m in source._fleet._players if not m.idle)
        os.kill(ray.get(busy.handle.begin.remote()), signal.SIGKILL)
        ours += list(episodes)
    assert_same_episodes(ours, theirs)
