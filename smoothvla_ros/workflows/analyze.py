"""`smoothvla analyze`: the jerk of any recorded robot, without ROS."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.bags.analysis import Progress, analyse
from smoothvla_ros.evaluation.bags.comparison import compare
from smoothvla_ros.evaluation.bags.page import page
from smoothvla_ros.evaluation.bags.settings import AnalysedRobot, AnalysisSettings
from smoothvla_ros.evaluation.bags.table import comparison_lines, lines
from smoothvla_ros.evaluation.plain_json import plain
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import LIMIT_SETS, load_robot_description
from smoothvla_ros.user_path import user_path

REPORT = Path('jerk_report.html')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    defaults = AnalysisSettings()
    parser.add_argument(
        'bags', nargs='+', type=user_path, metavar='BAG', help='rosbag2 folder, .mcap or .db3 file'
    )
    parser.add_argument('--topic', help='JointState topic, where a bag has more than one')
    parser.add_argument(
        '--robot',
        help='panda, fr3 or ur5e (with --urdf), or a file like config/robots/panda.yaml: tool and '
        'limits',
    )
    parser.add_argument(
        '--limits',
        choices=LIMIT_SETS,
        help="which limits of --robot the peaks are held against (default: the vendor's, where the "
        'file of the robot has them)',
    )
    parser.add_argument(
        '--urdf',
        type=user_path,
        help='URDF of any robot: adds the tool; with --robot, in its place',
    )
    parser.add_argument('--tool', metavar='LINK', help='link of --urdf that is the tool')
    parser.add_argument('--base', metavar='LINK', help='link of --urdf that all is seen from')
    parser.add_argument(
        '--joints',
        metavar='NAMES',
        help='without a model: the joints to look at, a,b,c (default: all that move together)',
    )
    for field in dataclasses.fields(AnalysisSettings):
        option = f'--{field.name.removesuffix("_s").replace("_", "-")}'
        text = f'{field.metadata["description"]} (default: %(default)s)'
        if isinstance(field.default, bool):
            parser.add_argument(
                option,
                dest=field.name,
                action=argparse.BooleanOptionalAction,
                default=field.default,
                help=field.metadata['description'],
            )
        else:
            parser.add_argument(
                option,
                dest=field.name,
                type=type(field.default),
                default=getattr(defaults, field.name),
                metavar='N',
                help=text,
            )
    parser.add_argument(
        '--report', type=user_path, default=REPORT, help='HTML page to write (default: %(default)s)'
    )
    parser.add_argument('--no-report', action='store_true', help='write no page')
    parser.add_argument('--json', type=user_path, metavar='FILE', help='write every figure as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Analyse every bag, print the tables, write the page and the figures."""
    settings = AnalysisSettings(
        **{f.name: getattr(arguments, f.name) for f in dataclasses.fields(AnalysisSettings)}
    )
    robot = _robot(arguments)
    analyses = []
    for path in arguments.bags:
        with _progress(path) as progress:
            analyses.append(analyse(path, settings, robot, arguments.topic, progress))
    comparisons = compare(analyses)
    blocks = [lines(analysis) for analysis in analyses]
    if comparisons:
        blocks.append(comparison_lines(analyses, comparisons))
    print('\n\n'.join('\n'.join(block) for block in blocks))
    if arguments.json is not None:
        found = {
            'bags': [analysis.as_json() for analysis in analyses],
            'comparisons': [comparison.as_json() for comparison in comparisons],
        }
        text = json.dumps(plain(found), indent=2, allow_nan=False)
        _write(arguments.json, f'{text}\n')
    if not arguments.no_report:
        _write(arguments.report, page(analyses, comparisons))
        print(f'\nreport: {arguments.report}')
    return 0


def _robot(arguments: argparse.Namespace) -> AnalysedRobot:
    has_model = arguments.robot is not None or arguments.urdf is not None
    if has_model and arguments.joints is not None:
        raise UserError('--joints is for recordings without a model, which names its own')
    if arguments.robot is not None:
        if arguments.tool is not None or arguments.base is not None:
            raise UserError('--tool and --base are named by the file of --robot; leave them out')
        described = load_robot_description(arguments.robot, str(arguments.urdf or ''))
        limits = arguments.limits or described.widest_limits
        jerk = described.limits(limits).jerk.tolist()
        return AnalysedRobot(
            described.arm(),
            dict(zip(described.joints, jerk, strict=True)),
            f'{limits} limits of {described.name}',
        )
    if arguments.urdf is None:
        if arguments.tool is not None or arguments.base is not None:
            raise UserError('--tool and --base name links of a URDF; give --urdf as well')
        return AnalysedRobot(
            joints=_names(arguments.joints) if arguments.joints is not None else ()
        )
    if arguments.tool is None:
        raise UserError(f'--urdf {arguments.urdf} needs --tool: the link whose jerk is wanted')
    return AnalysedRobot(Arm.from_urdf(arguments.urdf, arguments.tool, base_frame=arguments.base))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(',')))
    if not all(names):
        raise UserError(f'--joints {text!r} has an empty name; give names as a,b,c')
    return names


@contextmanager
def _progress(path: Path) -> Iterator[Progress]:
    """Show a bar while a bag is read; none where nobody looks."""
    with tqdm(desc=path.name, unit=' messages', unit_scale=True, disable=None, leave=False) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update


def _write(path: Path, text: str) -> None:
    try:
        write_file(path, text)
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror}') from error
