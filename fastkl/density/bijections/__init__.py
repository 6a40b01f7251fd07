"""What a transformer does to a density."""
