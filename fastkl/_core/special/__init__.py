"""Special functions without cancellation, each in one place."""
