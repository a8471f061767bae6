"""Fine-tune vision-language-action policies until they succeed and move smoothly, over ROS 2."""

import os
import sys
from pathlib import Path
from pkgutil import extend_path

__version__ = '0.1.0'

# Running from a checkout, the generated messages are installed elsewhere than the sources.
__path__ = extend_path(__path__, __name__)


def _add_own_prefix_to_the_index() -> None:
    """Let ament find our share folder and executables when nobody sourced a setup file."""
    known = [
        prefix for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if prefix
    ]
    marker = Path(sys.prefix, 'share/ament_index/resource_index/packages', __name__)
    if marker.exists() and sys.prefix not in known:
        os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join([*known, sys.prefix])


_add_own_prefix_to_the_index()
