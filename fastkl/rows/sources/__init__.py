"""Where rows come from block by block: files, batches that somebody else makes, queries."""
