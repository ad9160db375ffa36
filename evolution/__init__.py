"""The outer loop: genomes, mutations, ranking, selection. Knows no task, no torch, no environment."""
