"""What travels in the passes of a fit by map and reduce: bytes of the map and of the parts.

    python benchmarks/map_reduce.py [--batches 4]

For each family a line of the passes: what is wanted, bytes of the map as it is sent to a batch, mean bytes of a part.
"""

import argparse
import pickle

import numpy as np

from fastkl import DensityMLE

CASES = {
    "gamma": lambda rng: rng.gamma(2.0, size=(1_000_003, 8)),
    "student_t": lambda rng: rng.standard_t(5.0, size=(1_000_003, 8)),
    "laplace": lambda rng: rng.laplace(size=(1_000_003, 8)),
    "multivariate_normal": lambda rng: rng.normal(size=(100_003, 100)),
    "multivariate_t": lambda rng: rng.standard_t(5.0, size=(1_000_003, 8)),
}


def passes(family, batches):
    """What is wanted, bytes of the map, mean bytes of a part, for every pass."""
    job, found = DensityMLE(family).start(), []
    while not job.done:
        parts = [bytes(job.map(batch, k)) for k, batch in enumerate(batches)]
        found.append(
            (type(job.map.work).__name__.lower(), len(pickle.dumps(job.map)), sum(map(len, parts)) // len(parts))
        )
        job.reduce(parts)
    return found


def main():
    """All families."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=4)
    options = parser.parse_args()
    for family, make in CASES.items():
        found = passes(family, np.array_split(make(np.random.default_rng(0)), options.batches))
        print(
            f"{family}: {len(found)} passes;", "; ".join(f"{kind} {sent:,} -> {part:,}" for kind, sent, part in found)
        )


if __name__ == "__main__":
    main()
