/* One column: both samples sorted, every neighbour and every ball is a run of the sorted values.
 *
 * The k nearest values of a query are some k consecutive ones, and their farthest is at an end of the run: the j-th distance is
 * the least over all runs of length j of the greater of its two end distances. Differences are formed once and never squared, so
 * no scale of the data can overflow or vanish.
 */
#ifndef FK_LINE_H
#define FK_LINE_H

#include "fk_config.h"
#include "fk_slack.h"
#include <math.h>

#define FK_RUN 256                   /* values whose weights are summed beforehand */

/* First index in [0, n) with x[i] >= value, n if none. */
FK_INLINE ptrdiff_t fk_first_not_below(const double *x, ptrdiff_t n, double value) {
    ptrdiff_t start = 0;
    while (n > 0) {
        ptrdiff_t half = n / 2;
        if (x[start + half] < value) {
            start += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return start;
}

/* Ends of the run of x around `at` (x[i] <= q before it, x[i] >= q from it on) that lies within the reach: by doubled steps,
 * then halving. `left` is the number of values below `at`, `right` the number from `at` on. */
FK_INLINE ptrdiff_t fk_extent(const double *x, ptrdiff_t at, ptrdiff_t step, ptrdiff_t available, double q, double reach) {
    ptrdiff_t inside = 0, bound = 1;
    while (bound <= available && fabs(x[at + step * (bound - 1)] - q) <= reach) {
        inside = bound;
        bound *= 2;
    }
    bound = bound <= available ? bound : available + 1;
    while (bound - inside > 1) {
        ptrdiff_t half = inside + (bound - inside) / 2;
        if (fabs(x[at + step * (half - 1)] - q) <= reach) inside = half;
        else bound = half;
    }
    return inside;
}

/* j-th distances for the queries in the middle of their own sample, away from its ends: x[i - j .. i + j] exist for all. */
FK_CLONES static void fk_line_self_middle(const double *x, ptrdiff_t start, ptrdiff_t end, ptrdiff_t j, double *out,
                                          ptrdiff_t stride) {
    double best[64];
    for (ptrdiff_t block = start; block < end; block += 64) {
        ptrdiff_t n = end - block < 64 ? end - block : 64;
        const double *centre = x + block;
        for (ptrdiff_t i = 0; i < n; i++) best[i] = INFINITY;
        for (ptrdiff_t a = 0; a <= j; a++) {
            FK_SIMD
            for (ptrdiff_t i = 0; i < n; i++) {
                double below = centre[i] - centre[i - a], above = centre[i + j - a] - centre[i];
                double most = below > above ? below : above;
                best[i] = most < best[i] ? most : best[i];
            }
        }
        for (ptrdiff_t i = 0; i < n; i++) out[(block - start + i) * stride] = best[i];
    }
}

/* All k distances of one query by merging the values below and above `at`; the value at index `skip` is left out. */
FK_INLINE void fk_line_merge(const double *x, ptrdiff_t m, double q, ptrdiff_t below, ptrdiff_t above, ptrdiff_t k,
                             int only_last, double *out) {
    for (ptrdiff_t j = 0; j < k; j++) {
        double to_below = below >= 0 ? q - x[below] : INFINITY, to_above = above < m ? x[above] - q : INFINITY;
        int take_below = below >= 0 && (above >= m || to_below <= to_above);
        double distance = take_below ? to_below : to_above;
        below -= take_below;
        above += !take_below;
        if (!only_last) out[j] = distance;
        else if (j == k - 1) out[0] = distance;
    }
}

/* Distances within one sorted sample, for the positions [start, end), into `out`. */
static void fk_line_self(const double *x, ptrdiff_t n, ptrdiff_t start, ptrdiff_t end, ptrdiff_t k, int only_last,
                         double *out) {
    ptrdiff_t width = only_last ? 1 : k, from = start > k ? start : k, to = end < n - k ? end : n - k;
    if (k > 16 || from >= to) from = to = end;
    for (ptrdiff_t j = only_last ? k : 1; j <= k && from < to; j++)
        fk_line_self_middle(x, from, to, j, out + (from - start) * width + (only_last ? 0 : j - 1), width);
    for (ptrdiff_t i = start; i < end; i++) {
        if (i == from && from < to) i = to;
        if (i < end) fk_line_merge(x, n, x[i], i - 1, i + 1, k, only_last, out + (i - start) * width);
    }
}

/* Distances from the sorted queries [start, end) to the sorted x. */
static void fk_line_cross(const double *x, ptrdiff_t m, const double *q, ptrdiff_t start, ptrdiff_t end, ptrdiff_t k,
                          int only_last, double *out) {
    ptrdiff_t width = only_last ? 1 : k, at = fk_first_not_below(x, m, q[start]);
    for (ptrdiff_t i = start; i < end; i++) {
        while (at < m && x[at] < q[i]) at++;
        if (!only_last || k > 16 || at < k || at + k > m) {
            fk_line_merge(x, m, q[i], at - 1, at, k, only_last, out + i * width);
            continue;
        }
        double best = INFINITY;      /* runs x[at - a .. at - a + k - 1] */
        for (ptrdiff_t a = 0; a <= k; a++) {
            double below = a > 0 ? q[i] - x[at - a] : 0.0, above = a < k ? x[at + k - 1 - a] - q[i] : 0.0;
            double most = below > above ? below : above;
            best = most < best ? most : best;
        }
        out[i] = best;
    }
}

/* Sum of weight[first .. last), by runs where that is shorter. */
FK_INLINE double fk_run_sum(const double *weight, const double *runs, ptrdiff_t first, ptrdiff_t last) {
    double sum = 0.0;
    ptrdiff_t whole_first = (first + FK_RUN - 1) / FK_RUN, whole_last = last / FK_RUN;
    if (whole_first >= whole_last) {
        for (ptrdiff_t i = first; i < last; i++) sum += weight[i];
        return sum;
    }
    for (ptrdiff_t i = first; i < whole_first * FK_RUN; i++) sum += weight[i];
    for (ptrdiff_t r = whole_first; r < whole_last; r++) sum += runs[r];
    for (ptrdiff_t i = whole_last * FK_RUN; i < last; i++) sum += weight[i];
    return sum;
}

static void fk_line_runs(const double *weight, ptrdiff_t m, double *runs) {
    for (ptrdiff_t r = 0; (r + 1) * FK_RUN <= m; r++) {
        double sum = 0.0;
        for (ptrdiff_t i = r * FK_RUN; i < (r + 1) * FK_RUN; i++) sum += weight[i];
        runs[r] = sum;
    }
}

/* Values of x, or their weights, within the closed balls around the sorted queries [start, end). With `self` the queries are the
 * values of x from position `first` on, and a value is not in its own ball. Without weights the numbers go to `count`. */
static void fk_line_ball(const double *x, ptrdiff_t m, const double *q, ptrdiff_t start, ptrdiff_t end, int self,
                         ptrdiff_t first, const double *radius, const double *weight, const double *runs, int64_t *count,
                         double *sum) {
    ptrdiff_t at = fk_first_not_below(x, m, q[start]);
    for (ptrdiff_t i = start; i < end; i++) {
        double reach = radius[i] * FK_NOT_FARTHER;
        if (self) at = first + i;
        else
            while (at < m && x[at] < q[i]) at++;
        ptrdiff_t left = 0, right = 0, from = at + self;
        if (reach >= 0.0) {
            left = fk_extent(x, at - 1, -1, at, q[i], reach);
            right = fk_extent(x, from, 1, m - from, q[i], reach);
        }
        if (weight) sum[i] = fk_run_sum(weight, runs, at - left, at) + fk_run_sum(weight, runs, from, from + right);
        else count[i] = left + right;
    }
}

#endif
