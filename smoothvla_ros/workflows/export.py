"""`smoothvla export`: a trained OpenVLA policy as a folder that the published tools load."""

from __future__ import annotations

import argparse

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.openvla.export import export
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.user_path import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('policy', help='folder that training wrote: settings and adapter')
    parser.add_argument(
        'out', type=user_path, help='folder to write; about 15 GB for 7 B parameters'
    )


def run(arguments: argparse.Namespace) -> int:
    """Merge, write and say where.  Raises UserError for a policy that has no adapter's kind."""
    policy = load_policy(arguments.policy)
    if not isinstance(policy, OpenVLAPolicy):
        raise UserError(f'policy {arguments.policy} is no OpenVLA; its folder is whole as it is')
    if arguments.out.exists():
        raise UserError(f'{arguments.out} exists; choose another folder')
    export(policy, arguments.out)
    print(f'merged checkpoint: {arguments.out}')
    return 0
