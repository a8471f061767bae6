"""`security:=true`: a process an enclave, so that nobody else can move the arm (docs/deploy.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launching.viewer import NONE, wanted


def secured(arguments: Mapping[str, str]) -> bool:
    """Return whether every node has an enclave of its own; refuse what would protect nothing."""
    if arguments['security'] != 'true':
        return False
    if arguments['hardware'] == 'twin':
        raise UserError('security:=true guards an arm; the twin has no enclave, leave it out')
    if arguments['record'] == 'true' or wanted(arguments) != NONE:
        raise UserError(
            'security:=true: recorder, rerun_viewer and RViz have no enclave that may hear '
            'everything; leave record:=true, viewer and rviz out'
        )
    needed = {'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}
    for name, value in needed.items():
        if os.environ.get(name) != value:
            raise UserError(
                f'security:=true needs {name}={value} in the environment, and a keystore in '
                'ROS_SECURITY_KEYSTORE; docs/deploy.md says how it is made'
            )
    return True


def enclave(arguments: Mapping[str, str], name: str) -> list[str] | None:
    """Return the arguments that give a process its keys: what it may say (config/security)."""
    return ['--enclave', f'/smoothvla/{name}'] if secured(arguments) else None
