"""The command `smoothvla launch FILE key:=value ...`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.node_command import node_command
from smoothvla_ros.nodes.launch_runner.plan import declared_arguments, make_plan
from smoothvla_ros.nodes.launch_runner.processes import ProcessGroup, ProcessSpec
from smoothvla_ros.ros_domain import DISCOVERY_RANGE, DOMAIN, free_domain
from smoothvla_ros.shipped_files import shipped_folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('file', help='a launch file of ours, or the path of one')
    parser.add_argument('values', nargs='*', metavar='key:=value', help='arguments of the file')
    parser.add_argument(
        '--show-args', '-s', action='store_true', help="show the file's arguments and end"
    )
    parser.add_argument(
        '--runner',
        choices=('auto', 'ros', 'own'),
        default='auto',
        help="'ros' is ROS 2's own launch, 'own' the small runner; auto: ros where installed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a launch file and return the exit status of what ended it."""
    path = find_launch_file(arguments.file)
    values = parse_values(arguments.values)
    if arguments.runner == 'ros' or (arguments.runner == 'auto' and _ros_launch_installed()):
        from smoothvla_ros.nodes.launch_runner.ros_launch import run_ros_launch

        with _environment():
            return run_ros_launch(path, values, show_arguments=arguments.show_args)
    if arguments.show_args:
        _show(path)
        return 0
    plan = make_plan(path, values)
    with _environment(), tempfile.TemporaryDirectory(prefix='smoothvla_launch_') as folder:
        specs = [
            ProcessSpec(node.label, node_command(node, Path(folder)), node.terminal, node.ends_all)
            for node in plan.nodes
        ]
        return ProcessGroup(specs, os.environ).run()


def find_launch_file(name: str) -> Path:
    """Return the path of a launch file: as given, or one of the package's.

    Raises UserError naming those that there are.
    """
    if Path(name).is_file():
        return Path(name)
    folders = shipped_folders('launch')
    for folder in folders:
        for candidate in (folder / name, folder / f'{name}.launch.py'):
            if candidate.is_file():
                return candidate
    known = sorted({path.name for folder in folders for path in folder.glob('*.launch.py')})
    raise UserError(f'launch file {name!r} not found; there are {", ".join(known)}')


def parse_values(values: Sequence[str]) -> dict[str, str]:
    """Return ``key:=value`` words as a mapping.  Raises UserError for any other word."""
    parsed = {}
    for word in values:
        name, separator, value = word.partition(':=')
        if not separator or not name:
            raise UserError(f'launch argument {word!r} is not of the form key:=value')
        parsed[name] = value
    return parsed


def _ros_launch_installed() -> bool:
    """Whether ROS 2's launch is there; another package of that name has no launch_ros beside it."""
    return all(importlib.util.find_spec(name) is not None for name in ('launch', 'launch_ros'))


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Keep the run on this machine and, unless a domain is given, in a domain of its own."""
    os.environ.setdefault(DISCOVERY_RANGE, 'LOCALHOST')
    if os.environ.get(DOMAIN):
        yield
        return
    with free_domain() as domain:
        os.environ[DOMAIN] = str(domain)
        print(
            f'[launch] in another terminal: export {DOMAIN}={domain} '
            f'{DISCOVERY_RANGE}={os.environ[DISCOVERY_RANGE]}',
            flush=True,
        )
        try:
            yield
        finally:
            del os.environ[DOMAIN]


def _show(path: Path) -> None:
    """Print the arguments of a launch file, as `ros2 launch --show-args` does."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    for argument in declared_arguments(path):
        print(f"\n    '{argument.name}':\n        {argument.description}")
        if argument.choices:
            choices = ', '.join(repr(choice) for choice in argument.choices if choice)
            print(f'        One of: {choices}')
        if argument.default_value is not None:
            print(f"        (default: '{argument.default_value}')")
        else:
            print('        (needed)')
