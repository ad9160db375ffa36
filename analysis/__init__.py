"""Figures and tables from run folders, drawings, films and measurements of networks: `python -m analysis --help`."""
