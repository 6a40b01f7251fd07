"""``MixtureMLE``: its starts, its search for the highest maximum, and what only mixtures answer."""
