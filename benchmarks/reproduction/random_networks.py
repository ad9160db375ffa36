"""Networks of 200 to 800 connections that were only mutated at random, trained by each of four rules; thesis figure.

Takes the arguments of `python -m analysis random-networks`, and goes on where it was stopped.
"""

import logging
import sys

from analysis.__main__ import main
from benchmarks.reproduction.common import RANDOM_NETWORKS

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(["random-networks", "--to", str(RANDOM_NETWORKS.parent), *sys.argv[1:]]))
