"""Run the node."""

import sys

from smoothvla_ros.nodes.twin.node import main

if __name__ == '__main__':
    sys.exit(main())
