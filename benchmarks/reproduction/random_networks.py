"""Networks of 200 to 800 connections that were only mutated at random, trained by each of four rules; thesis figure.

Takes the arguments of `python -m analysis random-networks`, and goes on where it was stopped.
"""

import argparse
import logging

from analysis import random_networks
from benchmarks.reproduction.common import OUT

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    random_networks.add_arguments(parser)
    parser.set_defaults(to=OUT / "random-networks")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    random_networks.main(parser.parse_args())
