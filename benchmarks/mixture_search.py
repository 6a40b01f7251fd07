"""How often the search of ``MixtureMLE`` finds the highest maximum known: ``python benchmarks/mixture_search.py --seeds 20``.

Every table is fitted with default settings from every seed. The highest maximum known is the published one, or, where none is
published, the highest proper one of these fits and of ten more with 25 starts. Milliseconds are of CPU time, for one fit.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

from fastkl import DegenerateDataError, MixtureMLE, families

DATA = Path(__file__).parents[1] / "tests/data"
ENOUGH = 1e-4  # nats below the highest that count as found
DEGREES = (5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Task:
    """A mixture to fit."""

    name: str
    X: np.ndarray
    k: int
    family: Any
    weights: np.ndarray | None = None
    reference: float | None = None

    def fit(self, seed: int, n_init: int = 5) -> MixtureMLE | None:
        """A fit from this seed; None where no proper maximum was found."""
        model = MixtureMLE(self.k, family=self.family, random_state=seed, n_init=n_init, standard_errors=False)
        try:
            model.fit(self.X, sample_weight=self.weights)
        except DegenerateDataError:
            return None
        return None if model.spurious_components_ else model


def table(file: str, *columns: str) -> np.ndarray:
    """Columns of one of the tables of the tests."""
    found = np.genfromtxt(DATA / file, delimiter=",", names=True)
    return np.stack([found[name] for name in columns], axis=1)


def published() -> Iterator[Task]:
    """The cases with a maximum that others have found."""
    for case in json.loads((DATA / "cases/density.json").read_text()):
        if case["family"] != "mixture" or case["options"]["n_components"] == 1:
            continue
        data, options, weights = case["data"], case["options"], None
        X = datasets.load_iris().data
        if "file" in data:
            X = table(data["file"], *data["columns"]) / data.get("divide_by", 1)
            weights = table(data["file"], data["counts"])[:, 0] if "counts" in data else None
        kind = options.get("covariance_type")
        family = options["component"] if kind is None else families.MultivariateNormal(kind)
        yield Task(case["id"], X, options["n_components"], family, weights, case["expected"]["log_likelihood"])


def normal(kind: str) -> families.Family:
    """Normal clusters with this covariance."""
    return families.MultivariateNormal(kind)


def others() -> Iterator[Task]:
    """Tables of the same kinds that have no published maximum here, and harder ones."""
    iris, wine = datasets.load_iris().data, datasets.load_wine().data
    faithful = table("old_faithful.csv", "eruptions", "waiting")
    diabetes = table("diabetes_reaven_miller.csv", "glucose_fasting", "glucose_area", "insulin_area")
    galaxies = table("galaxies.csv", "velocity") / 1000.0
    acidity = np.genfromtxt(DATA / "acidity.csv", delimiter=",", skip_header=1).reshape(-1, 1)
    for kind in ("full", "tied", "diag", "spherical"):
        for k in (3, 4):
            yield Task(f"iris {kind} {k}", iris, k, normal(kind))
            yield Task(f"diabetes {kind} {k}", diabetes, k, normal(kind))
        yield Task(f"faithful {kind} 3", faithful, 3, normal(kind))
    yield Task("wine diag 3", wine, 3, normal("diag"))
    yield Task("wine tied 3", wine, 3, normal("tied"))
    for k in (2, 3):
        yield Task(f"wine 4 columns full {k}", wine[:, [0, 3, 6, 10]], k, normal("full"))
    yield Task("iris 2 columns full 4", iris[:, :2], 4, normal("full"))
    for k in (4, 5, 6):
        yield Task(f"galaxies {k}", galaxies, k, "normal")
    for k in (2, 3):
        yield Task(f"acidity {k}", acidity, k, "normal")
    for df in DEGREES:
        yield Task(f"iris t with df {df:g}", iris, 3, families.MultivariateT(df=df))
        yield Task(f"faithful t with df {df:g}", faithful, 2, families.MultivariateT(df=df))
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=400)
    centres = np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0]])
    heavy = centres[z] + np.stack([rng.standard_t(np.array(DEGREES)[z]) for _ in range(2)], axis=1)
    yield Task("t components with df 5, 10, 30", heavy, 3, [families.MultivariateT(df=df) for df in DEGREES])
    yield Task("t components with free df", heavy, 3, "multivariate_t")
    wrong = np.concatenate([iris, rng.uniform(iris.min(0) - 3.0, iris.max(0) + 3.0, size=(15, 4))])
    box = families.Uniform(low=wrong.min(0).tolist(), high=wrong.max(0).tolist())
    yield Task("wrong rows: normal 3", wrong, 3, normal("full"))
    yield Task("wrong rows: t 3", wrong, 3, families.MultivariateT(df=5.0))
    yield Task("wrong rows: normal 2 and background", wrong, 3, [normal("full"), normal("full"), box])


def line(task: Task, seeds: int) -> str:
    """How often the highest maximum was found, and in what time."""
    begin = time.process_time()
    fits = [task.fit(seed) for seed in range(seeds)]
    seconds = (time.process_time() - begin) / seeds
    heights = np.array([-np.inf if fit is None else fit.log_likelihood_ for fit in fits])
    reference = task.reference
    if reference is None:
        thorough = [task.fit(1000 + seed, 25) for seed in range(10)]
        reference = max([heights.max(), *[fit.log_likelihood_ for fit in thorough if fit is not None]])
    found = int(np.sum(heights >= reference - ENOUGH))
    return (
        f"| {task.name} | {reference:.5f} | {found}/{seeds} | {reference - heights.min():.2g} | {1000 * seconds:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| mixture | highest maximum | found | lowest below it | ms a fit |\n|---|---:|---:|---:|---:|")
    for task in [*published(), *others()]:
        if options.only in task.name:
            print(line(task, options.seeds), flush=True)


if __name__ == "__main__":
    main()
