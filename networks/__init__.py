"""Genomes made to compute. `reference` is what a researcher reads, `compiled` and `population` are what runs."""
