"""The way to a maximum: EM maps, taken further by quasi-Newton steps, with a guard that the log-likelihood never falls.

In the coordinates of the parameters (``solvers.coordinates``) a map goes from u to u + f, and its statistics give the
gradient there. A quasi-Newton step is made of both (``quasi_newton``). One that does not raise the log-likelihood is
shortened, and where that does not help the plain map, which always raises it, takes its place. The ascent ends when
the remaining gain, half the slope along the step, is negligible at two places in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl._core.iterations import is_stopped, report
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import SupportError
from fastkl.families.base import Family
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.layout import WEIGHTS, Layout
from fastkl.families.mixture.maximisation import maximise
from fastkl.families.mixture.normals import StackedNormals, merged_moments, moments_of
from fastkl.families.mixture.posterior_normals import PosteriorNormalMaps
from fastkl.families.mixture.side_by_side import LIGHT_NUMBERS, SideBySide
from fastkl.families.mixture.steps import Place, Steps
from fastkl.families.mixture.students import StudentMaps
from fastkl.families.priors import PriorLike
from fastkl.families.solvers.coordinates import chart_at

SHORT_MAPS, SHORT_TOL = 12, 1e-6  # of ascents that tell starts apart
LIGHT_MAPS = 60  # plain maps of such an ascent instead, on small tables
# Such maps, compiled, begin the way to the maximum: as many as take so many numbers times components, and a fewest and a most.
EASY_NUMBERS, FIRST_MAPS, EASY_MAPS, EASY_TOL = 1 << 19, 20, 1000, 1e-9
FEWEST_NUMBERS = 1 << 12  # in a table times components, where even all maps to the end take next to nothing
STACKED_MAPS = 200  # at most where they are not compiled
FIRST_TOL = 1e-4  # of those before it where rows are not in memory
PLAIN_MAPS = 3  # before the first quasi-Newton step: they go far where the parameters still do
SHORTER = 0.3
ROUNDING = 1e-13  # of a log-likelihood, relative to its terms
AT_AN_END = 1e-8  # a probability this near to 0 or 1 is on its way there
AT_AN_END_ROUNDING = 1e-12  # with terms of other sizes


class Ascent:
    """The ascent of one mixture on one set of rows."""

    def __init__(
        self,
        family: Family,
        layout: Layout,
        rows: AnyRows,
        priors: Sequence[PriorLike | None],
        fixed_weights: Floats | None = None,
    ):
        self.family, self.layout, self.rows, self.priors = family, layout, rows, priors
        self.fixed_weights = fixed_weights
        self.weight = rows.total_weight

    def run(self, start: Params, tol: float, max_iter: int) -> Climb:
        """The maximum reached from a start, by at most ``max_iter`` maps."""
        climb = Climb(start)
        with np.errstate(all="ignore"):
            try:
                self._run(climb, tol, max_iter)
                if tol < SHORT_TOL and self._goes_to_ends(climb, max_iter):
                    self._run(climb, tol, max_iter)
            except CollapsedError as error:
                climb.collapsed = error
            except np.linalg.LinAlgError:
                climb.collapsed = self._singular(climb.params)
        return climb

    def _goes_to_ends(self, climb: Climb, max_iter: int) -> bool:
        """Set probabilities that are all but at an end of their range there, which maps approach for ever, if nothing is lost."""
        if any(self.priors) or climb.n_maps + 2 > max_iter or is_stopped():
            return False
        spaces, held = self.family.spaces(), self.family.fixed_parameters()
        there = {
            name: value if name in held else spaces[name].ended(value, AT_AN_END)
            for name, value in climb.params.items()
        }
        if all(np.array_equal(there[name], value) for name, value in climb.params.items()):
            return False
        climb.n_maps += 1
        try:
            place = self._map(there)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            return False
        if place.objective < climb.objective - AT_AN_END_ROUNDING * (abs(climb.objective) + self.weight):
            return False
        self._take(climb, place)
        climb.converged = False
        return True

    def shorts(
        self, starts: Sequence[Params], light_maps: int = LIGHT_MAPS, light_tol: float = SHORT_TOL
    ) -> list[Climb]:
        """Some maps from each start: enough to tell which starts lead high; plain ones, so many, where these are light."""
        stacked = self._stacked
        if stacked is None or not starts:
            return [self._short(start, light_maps, light_tol) for start in starts]
        return stacked.run(starts, light_tol * self.weight, light_maps)

    def nearly(self, start: Params) -> Climb:
        """The maximum but for its last digits, where plain maps are light."""
        stacked = self._stacked is not None
        return self.shorts([start], STACKED_MAPS if stacked else self._n_easy, EASY_TOL)[0]

    @property
    def _n_easy(self) -> int:
        """How many compiled maps take little time: the more, the smaller the table."""
        numbers = self.weight * self.rows.n_columns * self.layout.size
        return int(np.clip(EASY_NUMBERS // numbers, FIRST_MAPS, EASY_MAPS))

    @cached_property
    def _stacked(self) -> SideBySide | None:
        """The maps of t components, or of normal ones with a prior, on a small table in memory; None for others."""
        rows = self.rows
        if not isinstance(rows, Rows) or rows.incomplete or rows.noise is not None:
            return None
        if any(self.priors):
            return PosteriorNormalMaps.of(self.layout, rows, self.fixed_weights, self.priors)
        return StudentMaps.of(self.layout, rows, self.fixed_weights)

    def _short(self, start: Params, light_maps: int, light_tol: float) -> Climb:
        if not self.is_light or not isinstance(self.rows, Rows):
            return self.run(start, SHORT_TOL, SHORT_MAPS)
        climb = Climb(start)
        with np.errstate(all="ignore"):
            try:
                self._climb(climb, self.rows, light_tol, light_maps)
            except CollapsedError as error:
                climb.collapsed = error
            except np.linalg.LinAlgError:
                climb.collapsed = self._singular(climb.params)
        return climb

    def _singular(self, params: Params) -> CollapsedError:
        """The error of a component whose covariance is singular to rounding."""
        sizes = [
            np.linalg.cond(value) for own in self.layout.split(params) for value in own.values() if np.ndim(value) == 2
        ]
        worst = int(np.argmax(sizes)) if len(sizes) == self.layout.size else 0
        return CollapsedError(worst, "its matrix is singular to rounding")

    @cached_property
    def is_light(self) -> bool:
        """Whether a plain map costs next to nothing beside a quasi-Newton step: normal or t components on a small table."""
        rows, layout = self.rows, self.layout
        if rows.incomplete or getattr(rows, "noise", None) is not None:
            return False
        if self.weight * rows.n_columns * layout.size > LIGHT_NUMBERS:
            return False
        if self._stacked is not None:
            return True
        return (
            StackedNormals.are_all_of(layout)
            and not layout.groups[0].family.fixed_parameters()
            and not any(self.priors)
        )

    @cached_property
    def is_next_to_nothing(self) -> bool:
        """Whether plain maps to the end take no more than to make a start: compiled ones on the smallest tables."""
        numbers = self.weight * self.rows.n_columns * self.layout.size
        return self.is_light and self._stacked is None and numbers <= FEWEST_NUMBERS

    def _climb(self, climb: Climb, rows: Rows, tol: float, most: int, goal: float = 0.0) -> None:
        """The same as ``_plain`` on all rows in memory, in compiled code while components are regular, and to a near maximum."""
        at = StackedNormals.of(self.layout, climb.params)
        assert at is not None
        trace, sums, irregular, at, left = at.climbed(
            rows, self.fixed_weights, tol * self.weight, most - climb.n_maps, goal * self.weight
        )
        climb.trace += trace
        climb.params, climb.sums, climb.n_maps = at.params, sums[:, 0], climb.n_maps + len(trace)
        if trace and not irregular:
            climb.log_likelihood = climb.objective = trace[-1]
        if irregular and climb.n_maps < most:
            self._plain(climb, tol, most)
        elif goal > 0.0 and left <= goal * self.weight:
            found = at.of_records(trace[-1], sums, len(rows.X))
            gradient = Components(self.layout, at.params).weight_slopes(found.weights)
            chart = chart_at(self.family, at.params)
            self._measure(climb, chart.pull(at.params, {WEIGHTS: gradient, **at.slopes(found)}), left)
            climb.converged = True

    def _plain(self, climb: Climb, tol: float, most: int) -> None:
        """EM maps without the bookkeeping of quasi-Newton steps, until little is gained by one."""
        at = StackedNormals.of(self.layout, climb.params)
        while at is not None:
            found = self.rows.total(moments_of, at, merge=merged_moments)
            gain = found.log_likelihood - climb.objective
            if not np.isfinite(found.log_likelihood) or gain < 0.0:
                return
            climb.n_maps += 1
            climb.params, climb.sums = at.params, found.weights
            climb.log_likelihood = climb.objective = found.log_likelihood
            climb.trace.append(found.log_likelihood)
            if report(lambda: climb.params) or climb.n_maps >= most or gain <= tol * self.weight:
                return
            at = at.following(found, self.fixed_weights)

    @cached_property
    def _in_memory(self) -> Rows | None:
        """All rows of a light table, which a source gives as one sample; None where it has more, of small weight."""
        if isinstance(self.rows, Rows):
            return self.rows
        sample = self.rows.sample(LIGHT_NUMBERS // (self.rows.n_columns * self.layout.size) + 1)
        return sample if np.isclose(sample.total_weight, self.weight, rtol=1e-12, atol=0.0) else None

    def _easy(self, climb: Climb, max_iter: int, tol: float) -> None:
        """Plain maps where they cost next to nothing: the more, the smaller the table, and to the maximum where it is near."""
        if self._stacked is not None:
            (ahead,) = self._stacked.run(
                [climb.params], EASY_TOL * self.weight, min(STACKED_MAPS, max_iter - 1 - climb.n_maps)
            )
            if ahead.collapsed is not None:
                raise ahead.collapsed
            climb.follow(ahead)
            report(lambda: climb.params)
            return
        rows = self._in_memory
        if rows is None:
            self._plain(climb, FIRST_TOL, FIRST_MAPS)
            return
        self._climb(climb, rows, EASY_TOL, min(climb.n_maps + self._n_easy, max_iter // 2), tol)
        report(lambda: climb.params)

    def _run(self, climb: Climb, tol: float, max_iter: int) -> None:
        light = max_iter > FIRST_MAPS and self.is_light
        if light:
            self._easy(climb, max_iter, tol)
            if climb.converged or is_stopped():
                return
        place = self._next_map(climb)
        steps, plain, quiet = Steps(self.family, place), 2 if light else PLAIN_MAPS, 0
        while climb.n_maps < max_iter:
            ahead = steps.newton() if plain <= 0 else None
            if ahead is None and plain <= 0:
                plain = 1
                if light and climb.gain > tol * self.weight:  # past a saddle, where many maps gain ever more
                    self._easy(climb, max_iter - 1, tol)
                    if climb.converged:
                        return
                    place = self._next_map(climb)
                    steps = Steps(self.family, place)
            along = steps.step if ahead is None else ahead
            self._measure(climb, steps.gradient, 0.5 * abs(float(steps.gradient @ along)))
            quiet = quiet + 1 if climb.gain <= tol * self.weight and steps.settled(place) else 0
            if steps.still(place) or (quiet >= 2 and (ahead is not None or not steps.size)):
                climb.converged = not np.isnan(climb.gain + climb.slope)  # a maximum is not known without a slope
                return
            new = None if ahead is None else self._tried(climb, steps, place, ahead, max_iter)
            if new is None:
                if climb.n_maps >= max_iter:
                    return
                climb.n_maps += 1
                new = self._map(place.following)
                if not self._is_higher(new.objective, place.objective):
                    climb.converged = quiet > 0
                    return  # rounding is all that is left
            plain -= 1
            if not steps.move(new):
                plain = max(plain, 1)
            place = new
            self._take(climb, place)
            if report(lambda: climb.params):
                return

    def _tried(self, climb: Climb, steps: Steps, place: Place, ahead: Floats, max_iter: int) -> Place | None:
        """The place a quasi-Newton step away, or a shorter one; None if both are lower or beyond what the parameters can be."""
        for factor in (1.0, SHORTER):
            if climb.n_maps >= max_iter:
                return None
            climb.n_maps += 1
            try:
                new = self._map(steps.place(place, factor * ahead))
                if self._is_higher(new.objective, place.objective):
                    return new
                steps.learn(new)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue
        return None

    def _is_higher(self, new: float, old: float) -> bool:
        return new >= old - ROUNDING * (abs(old) + self.weight)

    def _map(self, params: Params) -> Place:
        """One EM map: a pass over the rows."""
        components = Components(self.layout, params)
        found = components.expectation(self.rows)
        pairs = [(p, own) for p, own in zip(self.priors, components.params, strict=True) if p is not None]
        objective = found.log_likelihood + float(sum(prior.log_density(own) for prior, own in pairs))
        if not np.isfinite(objective):
            raise SupportError("The log-likelihood of these parameters is not finite.")
        best = maximise(components, found, self.rows, self.priors, self.fixed_weights)
        gradient = components.gradient_of(found)
        for group in self.layout.groups:
            for i, k in enumerate(group.members):
                prior = self.priors[k]
                if prior is not None:
                    for name, slope in prior.gradient(components.params[k]).items():
                        gradient[group.key(name)][i] += slope
        return Place(params, found, objective, gradient, best)

    def _next_map(self, climb: Climb) -> Place:
        """The map of where a climb is, which counts as one of its own."""
        climb.n_maps += 1
        place = self._map(climb.params)
        self._take(climb, place)
        return place

    def _take(self, climb: Climb, place: Place) -> None:
        climb.params, climb.objective = place.params, place.objective
        climb.log_likelihood, climb.sums = place.found.log_likelihood, place.found.weights
        climb.trace.append(place.objective)
        climb.boundary = place.best.boundary

    def _measure(self, climb: Climb, gradient: Floats, gain: float) -> None:
        climb.slope, climb.gain = float(np.abs(gradient).max(initial=0.0) / self.weight), gain
