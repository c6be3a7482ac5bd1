"""Is this pair a copy? Pictures split before anything was tuned, altered copies of known truth, look-alikes by kind."""
