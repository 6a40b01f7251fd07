"""The search for the highest proper maximum of a mixture: short ascents from many starts, long ones from the best, moves.

A maximum is proper if no component has collapsed onto a few rows, where the likelihood of a continuous mixture grows
without bound: such places are never taken while a proper one is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from fastkl._core.array_types import Params
from fastkl._core.iterations import is_heard, is_stopped, report, told
from fastkl._core.rows import AnyRows, Rows
from fastkl.density.parametric.incomplete import filled_for_starts, fit_any_rows
from fastkl.density.parametric.mixture.insertions import may_be_flat
from fastkl.density.parametric.mixture.moves import ball, half_of, moved_starts
from fastkl.density.parametric.mixture.spurious import FEW_ROWS, spurious_components
from fastkl.density.parametric.mixture.starts import Starts
from fastkl.density.parametric.mixture.whole import off_edges, start_on_all
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ascent import SHORT_TOL, Ascent
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.ends import has_ends, with_moved_ends
from fastkl.families.mixture.layout import Layout
from fastkl.families.priors import PriorLike

# Of larger tables the search sees so many rows up to four times, more where there are many components; the last ascent sees all.
SAMPLE_ROWS, MOST_ROWS = 2048, 16384
MORE_ROWS = 8  # times as many where no maximum on all rows comes of these
MOST_READ = 1 << 17  # of rows that are not in memory
ROWS_OF_ONE = 100  # at least, for each component
MANY_ROWS = 4096  # of more a search tries half as much: they have fewer maxima by accident
LONG, SPARE = 3, 6  # long ascents, and further ones where these collapse
MANY_ENDS = 8  # long ascents where the ends of supports differ, each of which is a maximum of its own
# Rounds of splits and merges at most, and of those without gain: more in several columns where ascents are light, since moves
# find more than starts do, and most where maxima are many: under one covariance, where components close in on small groups, flat
# ones above all, on tables of so few numbers times components, and where a prior lets them have single rows.
MOVES, VAIN, VAIN_LIGHT, VAIN_TIED, VAIN_FLAT, VAIN_PRIOR, FEW_NUMBERS = 24, 2, 3, 4, 12, 7, 1 << 12
NEW = 1e-5  # nats per unit of weight from the height of a known maximum
SAME_WEIGHT = 0.02  # of all: components of places as high as each other that are the same
MOVED = 2  # long ascents of a round of moves, where they take next to nothing
MOST_OF_ONE = 100  # steps of a single component, where mixtures have no maximum
LIGHT_STARTS, WITH_MOVES = 8, 3  # further starts for each, where ascents are light, and fewer where moves follow
MANY_STARTS = 40  # for each, of those that take little, where none has led to a maximum,
MORE_TIMES = 5  # and as many times on the smallest tables
FEW_STARTS, FIRST_MAPS = 6, 12  # of which all are followed by light ascents, and the maps that tell more of them apart
MAPS_OF_FEW = 200  # where these take next to nothing
AT_ONCE = 24  # short ascents that go side by side
GROWN_MAPS = 30  # from the best of the ways in which a component is added
MOST_GROWN = 12  # components up to which a mixture is also grown one by one
PROPER_GAIN = 1e-6  # nats per unit of weight: maxima that differ by less are the same


@dataclass(frozen=True)
class Search:
    """The search on one set of rows.

    Parameters
    ----------
    mixture : Mixture
        With what it learnt of the rows.
    rows : AnyRows
        All rows.
    priors : list
        Of each component, bound to the rows, or None.
    tol, max_iter : float, int
        Of the last ascent.
    """

    mixture: Mixture
    rows: AnyRows
    priors: list[PriorLike | None]
    tol: float
    max_iter: int
    lost: list[CollapsedError] = field(default_factory=list)  # of the long ascents that led to no maximum

    def ascent(self, rows: AnyRows) -> Ascent:
        """The ascent on some rows."""
        fixed = self.mixture.fixed_parameters().get("weights")
        weights = None if fixed is None else np.asarray(fixed, dtype=np.float64)
        return Ascent(self.mixture, self.mixture.layout, rows, self.priors, weights)

    def from_start(self, start: Params) -> Climb:
        """The maximum reached from one start."""
        return self.ascent(self.rows).run(start, self.tol, self.max_iter)

    def best(self, n_init: int, generator: np.random.Generator, fewer: tuple[Mixture, Params] | None = None) -> Climb:
        """The highest proper maximum found, or the highest of all where none is proper; DegenerateDataError without one.

        ``fewer`` is a mixture of fewer components with its parameters, out of which some of the starts grow.
        """
        size = min(MOST_ROWS, max(SAMPLE_ROWS, ROWS_OF_ONE * self.mixture.layout.size))
        while True:
            sample = self.rows.sample(size)
            try:
                return self._best_from(sample, n_init, generator, fewer)
            except (DegenerateDataError, SupportError):
                self._raise_if_one_has_no_maximum()
                whole = np.isclose(sample.total_weight, self.rows.total_weight, rtol=1e-12, atol=0.0)
                if whole or (not isinstance(self.rows, Rows) and len(sample.X) > MOST_READ):
                    raise
            size *= MORE_ROWS

    def _best_from(
        self, sample: Rows, n_init: int, generator: np.random.Generator, fewer: tuple[Mixture, Params] | None
    ) -> Climb:
        """The highest maximum on all rows that is reached from those on a sample."""
        with told(None):
            filled = filled_for_starts(sample)
        starts = Starts(self.mixture, filled, self.priors, generator)
        ascent = self.ascent(sample)
        effort = 1 if len(sample.X) > MANY_ROWS else 2
        drawn = islice(starts.draw(), n_init * effort)
        found = self._tried(ascent, [start for start in drawn if start is not None])
        if ascent.is_light and self.max_iter > 1 and not is_stopped():
            count = LIGHT_STARTS if self.mixture.layout.size < 3 else WITH_MOVES
            cheap = [start for start in starts.about_rows(count * n_init) if start is not None]
            found += self._told_apart(ascent, cheap)
        if not is_stopped():
            with told(None):  # of mixtures with fewer components
                ways = (1 if ascent.is_light else effort) * (n_init + 1)  # where they are, moves do more
                found += self._grown(sample, filled, ways, generator, fewer)
        count = MANY_ENDS if has_ends(self.mixture.layout) else LONG
        followed = self._followed(ascent, self._ranked(found, sample), count, sample)
        for _ in range(MORE_TIMES if ascent.is_next_to_nothing else 1):
            if any(self._is_proper(climb, sample) for climb in followed) or is_stopped():
                break
            # as where values are rounded, and most starts collapse
            light = ascent.is_light
            more = starts.about_rows(MANY_STARTS * n_init) if light else islice(starts.draw(), LIGHT_STARTS * n_init)
            tried = self._tried(ascent, [start for start in more if start is not None])
            further = self._followed(ascent, self._ranked(tried, sample), count, sample, spare=len(tried))
            followed = self._ranked([*followed, *further], sample)
            found += tried
        if not followed:
            self._raise_without(found)
        followed = self._ranked([self._with_ends(climb, ascent, sample) for climb in followed], sample)
        best = self._moved(followed, ascent, starts, filled)
        if sample is not self.rows:
            return self._on_all_rows([best, *followed[1:]], sample)
        report(lambda: best.params)  # others have been told of since
        return best

    def _on_all_rows(self, climbs: Sequence[Climb], sample: Rows) -> Climb:
        """The first proper maximum of all rows to which those of a sample lead, or the highest of the others."""
        reached, error = [], None
        for climb in climbs:
            try:
                reached.append(self._whole(climb, sample))
            except (DegenerateDataError, SupportError) as found:
                error = found
                continue
            if reached[-1].collapsed is None and self._is_proper(reached[-1], self.rows):
                break
        ranked = self._ranked(reached, self.rows)
        if not ranked and error is not None:
            raise error
        if not ranked:
            self._raise_without(reached)
        return ranked[0]

    def _whole(self, climb: Climb, sample: Rows) -> Climb:
        """The maximum on all rows from that on a sample, which may lack what other rows hold."""
        mixture, rows = self.mixture, self.rows
        start = off_edges(mixture, climb.params, rows.total_weight)
        if not has_ends(mixture.layout):
            try:
                return self.from_start(start)
            except SupportError:
                pass  # a support that is narrower than the rows
        return self.from_start(start_on_all(mixture, start, rows, sample, self.priors, self._least(rows)))

    def _least(self, rows: AnyRows) -> float:
        """The weight of rows that are no longer few."""
        n_rows = len(rows.X) if isinstance(rows, Rows) else rows.total_weight
        return FEW_ROWS * (rows.n_columns + 1.0) * rows.total_weight / n_rows

    def _with_ends(self, climb: Climb, ascent: Ascent, rows: Rows) -> Climb:
        """A higher maximum where ends of supports have moved, which no ascent moves past a row."""
        layout = self.mixture.layout
        while has_ends(layout) and not is_stopped():
            moved = with_moved_ends(self.mixture, climb.params, rows, self._least(rows))
            if all(np.array_equal(moved[name], value) for name, value in climb.params.items()):
                break
            better = self._ranked([climb, self._run(ascent, moved)], rows)[0]
            gain, climb = better.objective - climb.objective, better
            if gain <= PROPER_GAIN * ascent.weight:
                break
        return climb

    def _run(self, ascent: Ascent, start: Params) -> Climb:
        """An ascent of the search, which is told of as a whole; who has asked for the end gets one map from each start."""
        with told(None):
            climb = ascent.run(start, self.tol, 1 if is_stopped() else self.max_iter)
        self._report(climb, ascent)
        return climb

    def _report(self, climb: Climb, ascent: Ascent) -> None:
        """Tell of a place that may be that of the fit."""
        if is_heard() and climb.collapsed is None and self._is_proper(climb, ascent.rows):
            report(lambda: climb.params)

    def _tried(self, ascent: Ascent, starts: Sequence[Params]) -> list[Climb]:
        """Short ascents from all of these starts."""
        if is_stopped() or self.max_iter <= 1:
            return [self._run(ascent, start) for start in starts]
        found: list[Climb] = []
        for first in range(0, len(starts), AT_ONCE):
            with told(None):
                found += ascent.shorts(starts[first : first + AT_ONCE])
            for climb in found[first:]:
                self._report(climb, ascent)
        return found

    def _told_apart(self, ascent: Ascent, starts: Sequence[Params]) -> list[Climb]:
        """Short ascents: where they are light, and many, from the best third that shorter ones find."""
        with told(None):
            if ascent.is_next_to_nothing and ascent.rows.n_columns > 1:  # components of few rows gain late
                return ascent.shorts(starts, MAPS_OF_FEW)
            if not ascent.is_light or len(starts) <= FEW_STARTS:
                return ascent.shorts(starts)
            ahead = self._ranked(ascent.shorts(starts, FIRST_MAPS), ascent.rows, max(FEW_STARTS, len(starts) // 3))
            return ascent.shorts([climb.params for climb in ahead])

    def _grown(
        self,
        rows: Rows,
        filled: Rows,
        ways: int,
        generator: np.random.Generator,
        fewer: tuple[Mixture, Params] | None = None,
    ) -> list[Climb]:
        """One component after another: each takes a ball of rows, or half of those of a component, from the best so far.

        Rows are parted by their values, with others filled in for those that are unknown.
        """
        layout, weights = self.mixture.layout, self.mixture.fixed_parameters().get("weights")
        if len(layout.groups) > 1 or weights is not None or (layout.size > MOST_GROWN and fewer is None):
            return []
        first = 2
        family, labels = layout.groups[0].family, np.zeros(len(rows.X), dtype=np.intp)
        if fewer is not None and fewer[0].layout.size < layout.size:
            labels = np.argmax(fewer[0].posterior(filled, fewer[1]), axis=1)
            first = fewer[0].layout.size + 1
        best: list[Climb] = []
        for k in range(first, layout.size + 1):
            mixture = Mixture([family] * k, None, self.mixture.tied)
            search = replace(self, mixture=mixture, rows=rows, priors=self.priors[:k])
            starts, ascent = Starts(mixture, filled, search.priors, generator), search.ascent(rows)
            begun = []
            for turn in range(ways):
                new = labels.copy()
                new[ball(starts.values, generator) if turn else half_of(labels, starts.values, generator)] = k - 1
                begun.append(starts.of_labels(new))
            tried = search._told_apart(ascent, [start for start in begun if start is not None])
            ahead = replace(search, tol=SHORT_TOL, max_iter=GROWN_MAPS)
            best = search._ranked(tried, rows, 1)
            if not ascent.is_light:  # whose short ascents are shorter
                best = ahead._followed(ascent, search._ranked(tried, rows), 1, rows)[:1]
            if not best:
                return []
            labels = np.argmax(mixture.posterior(rows, best[0].params), axis=1)
        return best

    def _is_proper(self, climb: Climb, rows: AnyRows) -> bool:
        """Whether no component has collapsed; what is found is kept, since a place is ranked among others again and again."""
        if climb.proper is None:
            climb.proper = not spurious_components(self.mixture, climb, rows)
        return climb.proper

    def _ranked(self, climbs: Sequence[Climb], rows: AnyRows, most: int | None = None) -> list[Climb]:
        """Those that have parameters, the proper ones first, each kind from the highest down; the first so many of them."""
        alive = [climb for climb in climbs if climb.collapsed is None and np.isfinite(climb.objective)]
        alive.sort(key=lambda climb: -climb.objective)
        proper = (climb for climb in alive if self._is_proper(climb, rows))
        return list(islice(proper, most)) or alive[:most]

    def _followed(
        self, ascent: Ascent, ranked: Sequence[Climb], count: int, rows: Rows, nearly: bool = False, spare: int = SPARE
    ) -> list[Climb]:
        """So many of the maxima to which short ascents lead, or nearly: the proper ones first, from the highest down."""
        reached: list[Climb] = []
        for climb in _different(ascent.layout, ranked, ascent.weight)[: count + spare]:
            ahead = ascent.nearly(climb.params) if nearly else self._run(ascent, climb.params)
            if ahead.collapsed is None:
                reached.append(ahead)
            else:
                self.lost.append(ahead.collapsed)
            if sum(self._is_proper(one, rows) for one in reached) == count:
                break
        return self._ranked(reached, rows)

    def _moved(self, found: Sequence[Climb], ascent: Ascent, starts: Starts, rows: Rows) -> Climb:
        """Splits and merges: rows are parted anew with two components made one, and another one made two.

        Components of several families also take each other's rows. Where ascents are light, rounds that gain nothing go on from
        the next lower maximum, since some are two moves away from each other.
        """
        layout, best, vain, light = self.mixture.layout, found[0], 0, ascent.is_light
        if layout.size < 3 and len(layout.groups) == 1 and not (light and rows.n_columns > 1):
            return best
        most = 1 if len(rows.X) > MANY_ROWS else VAIN
        if light and rows.n_columns > 1 and layout.size > 2:
            alone = VAIN_FLAT if self._may_close_in(rows) else VAIN_LIGHT
            most = VAIN_PRIOR if any(self.priors) else VAIN_TIED if self.mixture.tied else alone
        known, left = list(found), [best]
        for _ in range(MOVES):
            begun = [start for start in moved_starts(self.mixture, left[-1], rows, starts, light) if start is not None]
            tried = self._told_apart(ascent, begun) if light and self.max_iter > 1 else self._tried(ascent, begun)
            new = [climb for climb in tried if self._is_new(climb, known)] if light else tried
            followed = self._followed(
                ascent, self._ranked(new, rows, MOVED + SPARE), MOVED if light else 1, rows, light
            )
            followed = [self._with_ends(climb, ascent, rows) for climb in followed]
            better = self._ranked([best, *followed], rows, 1)[0]
            vain = 0 if better.objective > best.objective + PROPER_GAIN * ascent.weight else vain + 1
            best, known = better, [*known, *followed]
            if vain == most:
                break
            ahead = self._not_left(known, left, rows) if light else [best]
            if not ahead:
                break
            left.append(ahead[0])
        if light and best is not found[0]:
            best = self._ranked([*found, self._run(ascent, best.params)], rows, 1)[0]
        return best

    def _may_close_in(self, rows: Rows) -> bool:
        """Whether each component has a matrix of its own, of several columns, on so few rows that maxima are many."""
        size = rows.X.size * self.mixture.layout.size
        return may_be_flat(self.mixture) and rows.n_columns > 1 and size <= FEW_NUMBERS

    def _not_left(self, known: Sequence[Climb], left: Sequence[Climb], rows: Rows) -> list[Climb]:
        """The highest of the maxima from which no moves were made yet."""
        down = sorted(known, key=lambda climb: -climb.objective)
        different = _different(self.mixture.layout, [*left, *down], self.rows.total_weight)
        return self._ranked(different[len(left) :], rows, 1)

    def _is_new(self, climb: Climb, known: Sequence[Climb]) -> bool:
        """Whether a short ascent has not come back to a maximum that is known."""
        layout, least = self.mixture.layout, NEW * self.rows.total_weight
        return not any(_alike(layout, climb, other, least) for other in known)

    def _raise_if_one_has_no_maximum(self) -> None:
        """The error of a single component on all rows, which names the column, where none of them has a maximum either."""
        errors = []
        for group in self.mixture.layout.groups:
            try:
                with told(None):
                    fit_any_rows(group.family, self.priors[group.members[0]], self.rows, SHORT_TOL, MOST_OF_ONE)
            except DegenerateDataError as error:
                errors.append(error)
            except SupportError:
                return  # its rows are some of all
        if len(errors) == len(self.mixture.layout.groups):
            raise errors[0] from None

    def _raise_without(self, climbs: Sequence[Climb]) -> None:
        layout, why = self.mixture.layout, ""
        lost = [climb.collapsed for climb in climbs if climb.collapsed is not None] or self.lost
        if lost:
            of_family = layout.component_families[lost[-1].component].name
            why = f" In the last, component {lost[-1].component} ({of_family}) collapsed: {lost[-1]}"
        tried = f"None of {len(climbs)} starts" if climbs else "No start"
        has_types = any(hasattr(family, "covariance_type") for family in layout.component_families)
        raise DegenerateDataError(
            f"{tried} led to a mixture of {layout.size} components with a maximum of the likelihood.{why} Use fewer components, "
            "a prior (prior='default'), or "
            + ("a simpler family (covariance_type='diag', 'spherical' or 'tied')." if has_types else "other families.")
        )


def _different(layout: Layout, climbs: Sequence[Climb], weight: float) -> list[Climb]:
    """One of each kind, from the highest down."""
    chosen: list[Climb] = []
    for climb in climbs:
        if not any(_alike(layout, climb, other, 1e-4 * weight) for other in chosen):
            chosen.append(climb)
    return chosen


def _alike(layout: Layout, one: Climb, other: Climb, least: float) -> bool:
    """Whether two places are as high as each other, with components of each family of the same weights in some order."""
    if abs(one.objective - other.objective) > least:
        return False
    own = [list(group.members) for group in layout.groups]
    apart = [np.max(np.abs(np.sort(one.sums[members]) - np.sort(other.sums[members]))) for members in own]
    return bool(max(apart) <= SAME_WEIGHT * np.sum(one.sums))
