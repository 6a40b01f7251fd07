"""The default divergence of two samples: neighbours with the help of what usual distributions and regressions would give."""
