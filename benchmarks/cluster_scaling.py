"""Episodes a second on a cluster: the cost model against every event, and against real processes.

`make bench-scale` prints the model beside a simulation of all events, to 1,000 robots, and draws
both; `ARGS="--real"` runs Ray on this machine with robots that wait instead of computing.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.clocked_world import ClockedPool, load_clocked
from benchmarks.cluster_cost import Cluster, RolloutCosts, rollout_seconds
from benchmarks.cluster_events import simulate
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.rollouts.ray_rollouts import RayRolloutSource
from smoothvla_ros.training.rollouts.ray_settings import RaySettings

matplotlib.use('Agg')
from matplotlib import pyplot

# Assumed, to be replaced by one's own: a core that draws stock images of 256 pixels, and a GPU that
# takes 25 ms for a chunk of OpenVLA-OFT.
EXAMPLE = RolloutCosts(reset_s=0.6, chunk_s=0.25, decision_s=0.025, chunks=15.0, longest=27.0)
ROBOTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
DECIDERS = (1, 4, 16)
EPISODES = 2048
SEEDS = 3
QUICK = RolloutCosts(reset_s=0.2, chunk_s=0.1, decision_s=0.02, chunks=10.0, longest=15.0)
ROBOTS_OF_AN_ACTOR = 4
IMAGE = Path('docs/images/cluster_scaling.png')


def compare(costs: RolloutCosts) -> list[tuple[int, int, float, float]]:
    """Return deciders, robots, and episodes a second of the model and of the simulation."""
    rows = []
    for deciders in DECIDERS:
        for robots in ROBOTS:
            cluster = Cluster(robots, deciders)
            simulated = np.mean([simulate(costs, cluster, EPISODES, seed) for seed in range(SEEDS)])
            computed = rollout_seconds(costs, cluster, EPISODES)
            rows.append((deciders, robots, EPISODES / computed, EPISODES / float(simulated)))
    return rows


def draw(rows: list[tuple[int, int, float, float]], path: Path) -> None:
    """Draw the model as lines and the simulation as points."""
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout='constrained')
    for deciders in DECIDERS:
        own = np.array([row[1:] for row in rows if row[0] == deciders])
        (line,) = axes.loglog(own[:, 0], own[:, 1], label=f'{deciders} GPUs, computed')
        axes.loglog(own[:, 0], own[:, 2], 'o', color=line.get_color(), markersize=4)
    axes.loglog([], [], 'o', color='grey', markersize=4, label='every event simulated')
    axes.set(
        xlabel='robots, a core each', ylabel='episodes a second', title='Rollouts on a cluster'
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def measure(actors: int, inference_actors: int, episodes: int) -> float:
    """Return the seconds of so many episodes on a Ray of this machine; start-up does not count."""
    settings = RaySettings(
        actors=actors,
        inference_actors=inference_actors,
        inference_device='cpu',
        object_store_mb=200,
    )
    requests = [
        EpisodeRequest(f'e{n:04d}', EpisodeName('libero_spatial', 0, 0, n), 0, 1.0, 0, 0)
        for n in range(episodes)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        RayRolloutSource(
            partial(load_clocked, QUICK),
            ROBOTS_OF_AN_ACTOR,
            RenderSettings(),
            settings,
            make_pool=partial(ClockedPool, ROBOTS_OF_AN_ACTOR, QUICK),
        ) as source,
    ):
        (Path(folder) / 'weights').write_bytes(bytes(1_000_000))
        source.update_policy(0, Path(folder), folder_sha256(Path(folder)))
        # Every actor is up only after it has answered.
        list(source.collect(requests[: actors * ROBOTS_OF_AN_ACTOR * 2]))
        started = time.perf_counter()
        count = len(list(source.collect(requests)))
        seconds = time.perf_counter() - started
    if count != episodes:
        raise RuntimeError(f'{episodes - count} episodes were lost: {source.lost()}')
    return seconds


def main() -> None:
    """Print the tables, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--real', action='store_true', help='run Ray on this machine too')
    parser.add_argument('--actors', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--episodes', type=int, default=96, help='episodes of a real run')
    parser.add_argument('--image', type=Path, default=IMAGE)
    for field in dataclasses.fields(RolloutCosts):
        default = getattr(EXAMPLE, field.name)
        option = '--' + field.name.replace('_', '-')
        parser.add_argument(option, type=float, default=default, help=f'(default: {default:g})')
    options = parser.parse_args()
    names = [field.name for field in dataclasses.fields(RolloutCosts)]
    rows = compare(RolloutCosts(**{name: getattr(options, name) for name in names}))
    print('deciders robots  computed simulated  computed/simulated   (episodes a second)')
    for deciders, robots, computed, simulated in rows:
        ratio = computed / simulated
        print(f'{deciders:8d} {robots:6d} {computed:9.2f} {simulated:9.2f} {ratio:19.2f}')
    draw(rows, options.image)
    print(f'drawn: {options.image}')
    if not options.real:
        return
    print('\nactors robots deciders  computed  measured  computed/measured   (episodes a second)')
    for inference_actors in (0, 1):
        for actors in options.actors:
            cluster = Cluster(actors * ROBOTS_OF_AN_ACTOR, inference_actors or actors)
            computed = options.episodes / rollout_seconds(QUICK, cluster, options.episodes)
            measured = options.episodes / measure(actors, inference_actors, options.episodes)
            print(
                f'{actors:6d} {cluster.robots:6d} {cluster.deciders:8d} {computed:9.2f} '
                f'{measured:9.2f} {computed / measured:18.2f}',
                flush=True,
            )


if __name__ == '__main__':
    main()
