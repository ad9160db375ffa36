"""Every kernel against its readable reference, pair by pair in one run."""
