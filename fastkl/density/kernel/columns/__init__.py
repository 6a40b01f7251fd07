"""What columns of a kernel density are: ends, circles, labels, and the kernels of those that are no numbers on a line."""
