"""Models as a side of a divergence: what is asked of them, those of other libraries, draws, and two models against each other."""
