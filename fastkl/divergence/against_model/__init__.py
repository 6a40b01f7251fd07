"""A sample against a model with a known log-density."""
