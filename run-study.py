"""Run every cell of a study: one script with all combinations of some parameters, one folder each, resumable."""

import sys

import utils
from experiment import study

if __name__ == "__main__":
    sys.exit(study.main(sys.argv[1:], utils.check_settings, __doc__))
