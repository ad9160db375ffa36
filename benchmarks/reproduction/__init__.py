"""The published experiments, run again: one script each, and what they share in `common`."""
