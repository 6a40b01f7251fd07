"""The demonstration: choose a density for a real table, say how far it is from the data, compare two groups, score many rows.

It uses what any user has: scikit-learn and the public names of fastkl. The table is the breast-cancer data that ships with
scikit-learn (569 biopsies); the four columns taken are positive, so that every family can be tried on them.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastkl import ComparisonDisplay, DensityDisplay, DensityMLE, Estimate, families, kl_divergence
from fastkl.rows.whole_file import require_folder
from fastkl.selection import cross_validated_log_density

COLUMNS = ["mean radius", "mean texture", "mean smoothness", "mean symmetry"]
Ranking = list[tuple[str, float, float, float, float]]


def run(figure: str | None = "fastkl_demo.png", n_rows: int = 1_000_000, seed: int = 0) -> dict[str, Any]:
    """Print the tables, write the figure if matplotlib is installed, and return the numbers.

    Parameters
    ----------
    figure : str or None, default="fastkl_demo.png"
        Path of the figure; None for none.
    n_rows : int, default=1_000_000
        Rows for the timing of batch scoring.
    seed : int, default=0
        For what is kept for the end, the division into parts and the rows that are drawn.

    Returns
    -------
    dict
        The ranking, the divergences, and the seconds that scoring took, which are not printed: all that is printed is the same in
        every run with the same seed.
    """
    if figure is not None:
        require_folder(figure)
    table = load_breast_cancer()
    names = [str(name) for name in table.feature_names]
    train, test, labels, _ = train_test_split(table.data, table.target, test_size=0.3, random_state=seed)
    print(f"Breast-cancer table of scikit-learn: {len(table.data)} rows, of which {len(test)} are kept for the end.")
    print(f"Columns used: {', '.join(COLUMNS)}.\n")
    pipeline = Pipeline(
        [
            ("columns", ColumnTransformer([("kept", "passthrough", [names.index(name) for name in COLUMNS])])),
            ("density", DensityMLE()),
        ]
    )
    search, ranking = choose(pipeline, train, seed)
    print_ranking(ranking)
    winner = search.best_estimator_
    kept, density = winner["columns"].transform(test), winner["density"]
    fit_gap = density.kl_divergence(kept, random_state=seed)
    groups = compare_groups(winner["columns"].transform(train), labels, seed)
    print_divergences(ranking[0][0], density.cross_entropy(kept), fit_gap, groups)
    seconds = time_scoring(density, n_rows, seed)
    # a bound, not the time itself, so that every run prints the same
    took = "less than a second" if seconds < 1.0 else f"{seconds:.0f} s"
    print(f"Scored {n_rows:,} rows of {len(COLUMNS)} columns in {took}.")
    if figure is not None:
        print(draw(figure, ranking, density, winner["columns"].transform(train)))
    return {"ranking": ranking, "kl_to_data": fit_gap, "kl_between_groups": groups, "seconds": seconds}


def candidates() -> dict[str, Any]:
    """The families to choose from, by the name to print."""
    return {
        "normal, full covariance": families.MultivariateNormal(),
        "normal, independent columns": families.MultivariateNormal("diag"),
        "gamma, independent columns": families.Gamma(),
        "lognormal, independent columns": families.Lognormal(),
    }


def choose(pipeline: Pipeline, X: NDArray[np.float64], seed: int = 0) -> tuple[GridSearchCV, Ranking]:
    """Grid search over the families, and for each the mean held-out log-density per row, its error and the gap to the best."""
    folds = KFold(5, shuffle=True, random_state=seed)
    search = GridSearchCV(pipeline, {"density__family": list(candidates().values())}, cv=folds).fit(X)
    rows = {
        name: cross_validated_log_density(clone(pipeline).set_params(density__family=family), X, cv=folds)
        for name, family in candidates().items()
    }
    best = max(rows, key=lambda name: float(rows[name].mean()))
    root = np.sqrt(len(X))
    ranking = [
        (
            name,
            float(r.mean()),
            float(r.std() / root),
            float((rows[best] - r).mean()),
            float((rows[best] - r).std() / root),
        )
        for name, r in rows.items()
    ]
    return search, sorted(ranking, key=lambda entry: -entry[1])


def compare_groups(X: NDArray[np.float64], labels: NDArray[np.int_], seed: int = 0) -> Mapping[str, Estimate]:
    """KL divergence between the samples of the two classes, in both directions."""
    # A common scaling leaves the divergence as it is and lets every column count in the distances of the neighbour search.
    scaled = StandardScaler().fit_transform(X)
    malignant, benign = scaled[labels == 0], scaled[labels == 1]
    return {
        "KL(malignant || benign)": kl_divergence(malignant, benign, random_state=seed),
        "KL(benign || malignant)": kl_divergence(benign, malignant, random_state=seed),
    }


def time_scoring(density: DensityMLE, n_rows: int, seed: int = 0) -> float:
    """Best of three times to score fresh rows, in seconds."""
    rows = density.sample(n_rows, random_state=seed)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        density.score_samples(rows)
        times.append(time.perf_counter() - start)
    return min(times)


def print_ranking(ranking: Ranking) -> None:
    """The families by held-out log-density."""
    print("Families by cross-validated mean log-density (nats per row, larger is better)")
    print(f"  {'family':<30}{'log-density':>13}{'± s.e.':>9}{'KL behind best':>17}{'± s.e.':>9}")
    for name, mean, error, gap, gap_error in ranking:
        print(f"  {name:<30}{mean:>13.4f}{error:>9.4f}{gap:>17.4f}{gap_error:>9.4f}")
    print(
        "  The entropy of the data is the same for every family, so differences of log-density are differences of KL.\n"
    )


def print_divergences(winner: str, cross: Estimate, gap: Estimate, groups: Mapping[str, Estimate]) -> None:
    """Divergence of the winner from the data, and between the groups, with intervals."""
    low, high = gap.confidence_interval()
    print(f"How far is the winner ({winner}) from the data? On the rows kept for the end:")
    print(f"  cross-entropy {cross.value:.4f} ± {cross.standard_error:.4f} nats")
    print(f"  KL(data || model) {gap.value:.4f} nats, 95 % interval [{low:.4f}, {high:.4f}]\n")
    print("How different are the two groups?")
    for name, estimate in groups.items():
        low, high = estimate.confidence_interval()
        reasons = "".join(f"\n    note: {reason}" for reason in estimate.diagnostics["reasons"])
        print(f"  {name} {estimate.value:.3f} nats, 95 % interval [{low:.3f}, {high:.3f}]{reasons}")
    print()


def draw(path: str, ranking: Ranking, density: DensityMLE, X: NDArray[np.float64]) -> str:
    """Write the figure: the ranking with error bars, and two columns of the data under the winner."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "No figure: matplotlib is not installed. To get one: pip install 'fastkl[plot]', and run the demonstration again."
    figure = Figure(figsize=(12.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.0])
    names = [entry[0] for entry in ranking]
    gaps, errors = [entry[3] for entry in ranking], [entry[4] for entry in ranking]
    ComparisonDisplay(names, gaps, errors, note=f"{len(X):,} held-out rows").plot(ax=left)
    DensityDisplay.from_estimator(density, X, column=(0, 1), name=names[0], ax=right)
    right.set(xlabel=COLUMNS[0], ylabel=COLUMNS[1])
    figure.savefig(path, dpi=110)
    return f"Figure: {Path(path).absolute()}"
