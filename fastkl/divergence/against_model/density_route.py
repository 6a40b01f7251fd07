"""A sample against a known density: cross-entropy minus an entropy whose bias is measured on draws from that density.

KL = -mean log q - H, where the first term is a plain mean and only the entropy of the sample needs neighbours. Their bias (edges,
curvature, and in many columns the emptiness of space) is the same for any sample alike, and for draws from q itself it is known:
there the whole difference is 0 on average. So what the same calculation gives for a few samples drawn from q is subtracted. For a
correct model the result has mean 0 in any number of columns and for any number of rows; for another one what is left is how much
the bias differs between the two distributions, which the drift with the number of neighbours tells beyond that of the draws.

Where the model is far from right its draws do not tell the bias (uniform data in 10 columns against a normal model would have -.1
for 1.8). A second entropy has its bias from margins and copula of the data themselves (`marginal_split`); as far as the two are
apart it takes the place of the first. Of data from the model they differ by less than their error.

In one column the gaps between order statistics take the place of neighbours: they have a third of the error, and on the scale
that suits the column so little bias that it is left, and a part of what gaps twice as long change enters the error; so
differences between models are exactly those of their cross-entropies. A number of neighbours that the caller gives asks for the
plain estimate with it. The draws have a fixed seed unless the caller gives one, so that the estimate is a function of the data
and the model. Neighbours are looked for in coordinates in which the model has unit covariance (the entropy is moved back by log
abs det).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, polygamma

from fastkl._core.means import Mean
from fastkl.divergence.against_model.model_coordinates import covariance_factor, transformed
from fastkl.divergence.arguments import FloatArray, Sample, resolve_neighbors
from fastkl.divergence.entropy_estimators.entropy_methods import default_entropy
from fastkl.divergence.entropy_estimators.margins import OF_A_STEP, margin
from fastkl.divergence.entropy_estimators.spacings import spacings_window
from fastkl.divergence.entropy_estimators.surfaces import refuse_surfaces
from fastkl.divergence.entropy_estimators.whitening import normalised
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.draws import drawn_sample, resolve_draws
from fastkl.divergence.models.model import Model
from fastkl.divergence.models.ratio_tails import heavy_terms
from fastkl.divergence.nearest.diagnostics import (
    drift_reasons,
    few_effective_rows,
    many_columns,
    negative_reasons,
    sweep_numbers,
)
from fastkl.divergence.nearest.levelled_weights import levelled_weights
from fastkl.divergence.nearest.local_terms import log_density_own
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import SWEEP_ROWS
from fastkl.divergence.nearest.uncertainty import count_noise
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import impossible_rows
from fastkl.exceptions import DegenerateDataError

# The bias is measured on about so many draws, in samples as large as the data, of which there are so many at most and at least;
_DRAWS, _MOST, _FEWEST = 15_000, 20, 4
# of more rows than this, so many at least.
_MANY_ROWS, _FEWEST_OF_MANY = 100_000, 2
# So many samples also tell how far apart such estimates are.
_TELL_SPREAD = 8
# Two entropies that are less apart, in their errors, have the same to say; the second is taken alone where they are more apart.
_ALIKE, _APART = 0.7, 1.4


@dataclass(frozen=True)
class _Plain:
    """-mean log q - entropy of a sample, as it comes.

    Attributes
    ----------
    entropy : float
        The entropy alone.
    difference : Mean
        Of the local terms log p - log q.
    noise : float
        Variance of a term that comes from counting few rows.
    change : Mean
        Of the steps of the terms from k to 2 k neighbours; empty where they are not known.
    reach : int
        That 2 k; 0 where it is not known.
    left : float
        A bias of gaps between order statistics that may be left.
    """

    entropy: float
    difference: Mean
    noise: float
    change: Mean
    reach: int = 0
    left: float = 0.0


def divergence_by_density(p: Sample, model: Model, options: Options) -> Estimate:
    """KL(distribution of the sample || model) from the model's log-density."""
    k, wanted = resolve_neighbors(options.n_neighbors, p.n_rows), options.standard_error
    log_q = model.log_density(p.X)
    cross_entropy = -p.mean(log_q).value
    if np.isinf(cross_entropy):
        return impossible_rows(cross_entropy, int(np.isneginf(log_q).sum()), p.n_rows, "density")
    lost = model.dimensions_lost  # where the unit of volume is another, and cancels between the rows and draws
    plain = p.n_columns == 1 or (options.n_neighbors is not None and not lost)
    spacings = options.n_neighbors is None and p.n_columns == 1
    calculation = _Calculation(p, model, k, spacings)
    found = calculation(p, log_q)
    drawn = (
        []
        if plain or not model.can_draw
        else [calculation(*one) for one in _drawn(calculation.seen(p), model, options)]
    )
    bias = float(np.mean([one.difference.value for one in drawn])) if drawn else 0.0
    entropy, error = found.entropy + bias, _error(found, drawn)
    second = None if plain or lost else _of_the_data(p, options)
    share = 0.0 if second is None else _share_of_second(entropy, error, second, measured=bool(drawn))
    if second is not None:
        entropy += share * (float(second) - entropy)
        error += share * (float(np.hypot(error, second.standard_error)) - error)
    value = cross_entropy - entropy
    reasons, left = _doubts(p, found, drawn, value, error) if wanted else ([], 0.0)
    if share > 0.5:  # whose doubts were asked for
        reasons, left = few_effective_rows(p) if wanted else [], 0.0
    reasons += negative_reasons(value, error) if wanted else []
    reasons += heavy_terms(-log_q, "terms -log q") if wanted and not p.weighted else []
    if wanted and second is None and not (plain or lost):
        reasons += _surfaces(p)
    diagnostics = {
        "reasons": reasons,
        "cross_entropy": cross_entropy,
        "entropy": entropy,
        "entropy_bias": bias,
        "second_entropy": None if second is None else float(second),
        "share_of_second": share,
        "bias_samples": len(drawn),
        "n_neighbors": 0 if calculation.window else k,
        "k_sweep_bias": left,
        "route": "density",
    }
    return Estimate(value, error if wanted else float("nan"), p.n_rows, "density", diagnostics)


def _of_the_data(p: Sample, options: Options) -> Estimate | None:
    """The entropy of the sample without the model; None where it has none, as with repeated rows."""
    try:
        return default_entropy(p, replace(options, standard_error=True))
    except DegenerateDataError:
        return None


def _surfaces(p: Sample) -> list[str]:
    """Says that the rows fill no volume, although nothing is known of a model that does not."""
    try:
        refuse_surfaces(p.X)
    except DegenerateDataError as error:
        where = str(error).split(": ")[0]
        return [f"{where}: the number is not the divergence, which is infinite unless the model lies there too."]
    return []


def plain_difference(p: Sample, model: Model, k: int) -> float:
    """The mean of log p - log q by the k-th neighbours, whose bias other samples of the model share."""
    return _Calculation(p, model, k, spacings=False)(p, model.log_density(p.X)).difference.value


def _share_of_second(entropy: float, error: float, second: Estimate, *, measured: bool) -> float:
    """How far the entropy of the data alone takes the place of the one whose bias was ``measured`` on draws from the model.

    Not at all where it has doubts itself, as among few or rounded values.
    """
    if second.diagnostics["bias_suspected"]:
        return 0.0
    if not measured:
        return 1.0
    apart = abs(entropy - float(second)) / float(np.hypot(error, second.standard_error))
    return float(np.clip((apart - _ALIKE) / (_APART - _ALIKE), 0.0, 1.0))


def _drawn(p: Sample, model: Model, options: Options) -> Iterator[tuple[Sample, FloatArray]]:
    """Samples from the model of the size of another, with weights as unequal among neighbours, with their log-densities."""
    rng = options.steady_rng
    weights = levelled_weights(p.X, p.weights, p.n_jobs)
    n = p.n_rows if weights is None else len(weights)
    wanted = -(-resolve_draws(options.n_draws, _DRAWS) // n)
    fewest = _FEWEST if n <= _MANY_ROWS else _FEWEST_OF_MANY
    for _ in range(int(np.clip(wanted, fewest, _MOST)) if options.n_draws is None else wanted):
        drawn = drawn_sample(model, n, p, rng)
        yield Sample(drawn.X, weights, p.n_jobs), model.log_density(drawn.X)


class _Calculation:
    """What is done to the sample and to each of the samples drawn from the model alike.

    Parameters
    ----------
    p : Sample
        The sample, which sets the centre, and the size of all of them.
    model : Model
        The model, in whose covariance distances are measured.
    k : int
        Number of neighbours.
    spacings : bool
        Whether gaps between order statistics take the place of neighbours.
    """

    def __init__(self, p: Sample, model: Model, k: int, spacings: bool) -> None:
        self.k = k
        self.window = spacings_window(p.n_rows) if spacings and p.n_rows >= 3 else 0
        self.reach = min(2 * k, p.n_rows - 1) if p.n_rows <= SWEEP_ROWS else k
        self.lost = model.dimensions_lost
        # other coordinates would stretch a surface more at one place than at another
        self.factor = None if self.lost else covariance_factor(p.n_columns, model)
        self.centre = p.X.mean(axis=0, dtype=np.float64)
        self.log_det = 0.0 if self.factor is None else float(np.log(np.diag(self.factor)).sum())

    def __call__(self, sample: Sample, log_q: FloatArray) -> _Plain:
        """The mean of log p - log q over a sample."""
        if self.window:
            try:
                return self._by_spacings(sample, log_q)
            except DegenerateDataError:
                if not sample.weighted:
                    raise self._repeated(sample) from None
                # Weights that vanish beside their neighbours' leave gaps without mass; balls always reach some.
        sample = self.seen(sample)
        log_density = difference = noise = change = Mean()
        numbers = [] if sample.weighted else sweep_numbers(self.reach)[-2:]
        for rows, slab in SamplePair(sample, sample).slabs_with_rows():
            slab.own.search(self.reach)
            log_p, counts = log_density_own(slab, self.k)
            if self.lost:
                log_p += self.lost * np.log(slab.own.positive_kth(self.k))
            if numbers and not (slab.own.kth(numbers[0]) > 0.0).all():
                numbers = []  # fewer neighbours than k, among so few rows, are twins of their row
            log_density += Mean.of(log_p - self.log_det, slab.weights)
            difference += Mean.of(log_p - self.log_det - log_q[rows], slab.weights)
            noise += Mean.of(count_noise(counts), slab.weights)
            if len(numbers) == 2:
                half, largest = (digamma(k) - (sample.n_columns - self.lost) * np.log(slab.own.kth(k)) for k in numbers)
                change += Mean.of(largest - half)
        return _Plain(-log_density.value, difference, noise.value, change, numbers[-1] if len(numbers) == 2 else 0)

    def seen(self, sample: Sample) -> Sample:
        """The rows where distances are measured."""
        if self.factor is None:
            return sample
        return Sample(transformed(sample.X, self.centre, self.factor), sample.weights, sample.n_jobs)

    def _repeated(self, sample: Sample) -> DegenerateDataError:
        values, counts = np.unique(sample.X, return_counts=True)
        return DegenerateDataError(
            f"The value {float(values[int(np.argmax(counts))])!r} of p is repeated {int(counts.max())} times, but the model is "
            "a density, which gives a single value probability 0: the divergence of such data is not finite. Compare counts "
            "with a discrete model, and rounded values with draws from the model that are rounded alike."
        )

    def _by_spacings(self, sample: Sample, log_q: FloatArray) -> _Plain:
        column = sample.X[:, 0].astype(np.float64)
        own = margin(column, normalised(sample.weights, len(column)), self.window, "p")
        difference = Mean.of(-own.terms - log_q, sample.weights)
        noise, left = float(polygamma(1, 2 * self.window)), OF_A_STEP * sample.mean(own.change).value
        return _Plain(sample.mean(own.terms).value, difference, noise, Mean(), left=left)


def _error(found: _Plain, drawn: list[_Plain]) -> float:
    """Standard error: of the terms, of their rows' use as neighbours, and of the bias that was measured.

    At least that which samples from the model have among themselves, where there are enough of them to tell: terms of many
    columns are smoothed, and vary less than they should.
    """
    mean, noise = found.difference, found.noise
    square = (max(mean.variance(), noise) + noise) / mean.size + found.left**2
    if drawn:
        spread = float(np.var([one.difference.value for one in drawn], ddof=1)) if len(drawn) > 1 else 0.0
        if len(drawn) >= _TELL_SPREAD:  # by one of its own errors above, since a variance of so few is uncertain
            square = max(square, spread * (1.0 + math.sqrt(2.0 / (len(drawn) - 1.0))))
        square += max(spread, 2.0 * noise / mean.size) / len(drawn)
    return float(np.sqrt(square))


def _doubts(p: Sample, found: _Plain, drawn: list[_Plain], value: float, error: float) -> tuple[list[str], float]:
    """The reasons to expect a bias, and its size by the drift with the number of neighbours beyond that of the draws."""
    reasons, left = few_effective_rows(p) + ([] if drawn else many_columns(p)), 0.0
    if found.reach:
        expected = float(np.mean([one.change.value for one in drawn])) if drawn else 0.0
        drifts, left = drift_reasons(sweep_numbers(found.reach), found.change, p.n_columns, value, error, expected)
        reasons += drifts
    return reasons, left


def rows_are_apart(p: Sample, k: int) -> bool:
    """Whether no row is repeated so often that its k-th neighbour is at distance 0."""
    return all((slab.own.kth(k) > 0.0).all() for slab in SamplePair(p, p).slabs(0))
