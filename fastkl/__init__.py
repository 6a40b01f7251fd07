"""Maximum-likelihood densities and Kullback-Leibler divergences: Cython kernels under a scikit-learn API.

Three verbs: fit (``DensityMLE``), score (``score``, ``score_samples``), compare (``kl_divergence``, ``entropy``,
``cross_entropy``). Every number is in nats.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastkl import families
from fastkl.density import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    GoodnessOfFit,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    Summary,
    TransformedDensity,
    load,
)
from fastkl.divergence import (
    EmpiricalDistribution,
    Estimate,
    KLDivergence,
    PermutationTest,
    TableComparison,
    TableLine,
    categorical_cross_entropy,
    categorical_entropy,
    categorical_jeffreys,
    categorical_jensen_shannon,
    categorical_kl,
    compare_tables,
    cross_entropy,
    cross_entropy_batches,
    discrete_cross_entropy,
    discrete_entropy,
    discrete_jeffreys,
    discrete_jensen_shannon,
    discrete_kl,
    empirical,
    entropy,
    entropy_batches,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
    kl_divergence_sweep,
    kl_from_log_probs,
    pairwise_divergence,
    permutation_test,
    population_stability_index,
    subsampling_interval,
)
from fastkl.exceptions import (
    ColumnOrderWarning,
    ColumnTypeError,
    DegenerateDataError,
    LossyTransformerError,
    MissingValueError,
    ModelFileError,
    ProbabilityVectorWarning,
    RepeatedValuesWarning,
    SharedRowsWarning,
    SourceError,
    SupportError,
    UnknownFamilyError,
)
from fastkl.families import priors
from fastkl.selection import (
    Comparison,
    ComponentChoice,
    FamilyRanking,
    GroupFits,
    choose_components,
    compare_densities,
    fit_groups,
    likelihood_ratio_test,
    make_kl_scorer,
    make_product_density,
    neg_cross_entropy,
    rank_families,
    vuong_test,
)

if TYPE_CHECKING:
    from fastkl.plotting import ComparisonDisplay, ComponentsDisplay, DensityDisplay, DensityPanels, GoodnessDisplay

__version__ = "0.1.0"
__all__ = [
    "ColumnOrderWarning",
    "ColumnTypeError",
    "Comparison",
    "ComparisonDisplay",
    "ComponentChoice",
    "ComponentsDisplay",
    "DegenerateDataError",
    "DensityDisplay",
    "DensityMLE",
    "DensityOutlierDetector",
    "DensityPanels",
    "EmpiricalDistribution",
    "Estimate",
    "FactorAnalysisMLE",
    "FamilyRanking",
    "GoodnessDisplay",
    "GoodnessOfFit",
    "GroupFits",
    "KLDivergence",
    "KernelDensityMLE",
    "LossyTransformerError",
    "MissingValueError",
    "MixtureMLE",
    "ModelFileError",
    "PermutationTest",
    "ProbabilityVectorWarning",
    "ProductDensity",
    "RepeatedValuesWarning",
    "ShapeConstrainedMLE",
    "SharedRowsWarning",
    "SourceError",
    "Summary",
    "SupportError",
    "TableComparison",
    "TableLine",
    "TransformedDensity",
    "UnknownFamilyError",
    "__version__",
    "categorical_cross_entropy",
    "categorical_entropy",
    "categorical_jeffreys",
    "categorical_jensen_shannon",
    "categorical_kl",
    "choose_components",
    "compare_densities",
    "compare_tables",
    "cross_entropy",
    "cross_entropy_batches",
    "discrete_cross_entropy",
    "discrete_entropy",
    "discrete_jeffreys",
    "discrete_jensen_shannon",
    "discrete_kl",
    "empirical",
    "entropy",
    "entropy_batches",
    "families",
    "fit_groups",
    "jeffreys",
    "jensen_shannon",
    "kl_divergence",
    "kl_divergence_batches",
    "kl_divergence_sweep",
    "kl_from_log_probs",
    "likelihood_ratio_test",
    "load",
    "make_kl_scorer",
    "make_product_density",
    "neg_cross_entropy",
    "pairwise_divergence",
    "permutation_test",
    "population_stability_index",
    "priors",
    "rank_families",
    "subsampling_interval",
    "vuong_test",
]


def __getattr__(name: str) -> Any:
    # Figures are wanted now and then; every import of the library would pay for them.
    if name in (
        "ComparisonDisplay",
        "ComponentsDisplay",
        "DensityDisplay",
        "DensityPanels",
        "GoodnessDisplay",
        "plotting",
    ):
        plotting = importlib.import_module("fastkl.plotting")
        return plotting if name == "plotting" else getattr(plotting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
