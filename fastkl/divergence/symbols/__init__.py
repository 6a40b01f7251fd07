"""Labels, counts and known probabilities: frequencies in place of densities, and what they miss."""
