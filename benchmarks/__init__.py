"""Every kernel against its readable reference, pair by pair in one run: `python -m benchmarks`, or one module alone."""
