"""Nearest neighbours of samples: the searches, the estimates that they give, and what makes those doubtful."""
