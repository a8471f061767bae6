"""Run the node."""

import sys

from smoothvla_ros.nodes.rerun_viewer.node import main

if __name__ == '__main__':
    sys.exit(main())
