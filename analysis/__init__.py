"""Figures and tables from run folders, drawings, films and measurements of networks: `python -m analysis --help`."""

import contextlib
import os

if _chosen := os.environ.pop("MPLBACKEND", None):
    # Nothing here needs a backend, but matplotlib cannot even be imported where the chosen one is not there, as that of
    # a notebook for a command that it starts. For whoever uses pyplot beside us the choice stays.
    import matplotlib

    os.environ["MPLBACKEND"] = _chosen
    with contextlib.suppress(ValueError):
        matplotlib.rcParams["backend"] = _chosen
