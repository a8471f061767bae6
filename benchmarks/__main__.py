"""Entry of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import sys

from benchmarks import __doc__ as description
from benchmarks import add_arguments, run

parser = argparse.ArgumentParser(prog='benchmarks', description=description)
add_arguments(parser)
sys.exit(run(parser.parse_args()))
