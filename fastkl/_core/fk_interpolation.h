/* Values between knots on straight lines. The knot below each value is found by halving, many values in step: a branch that
 * depends on the data would be guessed wrongly every other time. */
#ifndef FK_INTERPOLATION_H
#define FK_INTERPOLATION_H

#include "fk_config.h"
#include <math.h>

#define FK_IN_STEP 64

/* Index of the last knot at or below each of at most FK_IN_STEP values, 0 where there is none. */
static FK_CLONES void fk_last_knots(const double *knots, ptrdiff_t n_knots, const double *x, ptrdiff_t n, int64_t *at) {
    for (ptrdiff_t i = 0; i < n; i++) at[i] = 0;
    for (int64_t left = n_knots; left > 1;) {
        int64_t half = left / 2;
        FK_SIMD
        for (ptrdiff_t i = 0; i < n; i++) at[i] += knots[at[i] + half] <= x[i] ? half : 0;
        left -= half;
    }
}

/* On the line from a knot: from the other end of it where that is no number, as beside an infinite knot. */
FK_INLINE double fk_on_line(const double *knots, const double *values, int64_t j, double x) {
    double slope = (values[j + 1] - values[j]) / (knots[j + 1] - knots[j]);
    double found = slope * (x - knots[j]) + values[j];
    if (isnan(found)) found = slope * (x - knots[j + 1]) + values[j + 1];
    return isnan(found) && values[j] == values[j + 1] ? values[j] : found;
}

/* Interpolated values of x (n), which are `stride` apart, at knots in ascending order; beyond the ends those of the ends. */
static void fk_interpolate(const double *x, ptrdiff_t stride, ptrdiff_t n, const double *knots, const double *values,
                           ptrdiff_t n_knots, double *out) {
    double some[FK_IN_STEP];
    int64_t at[FK_IN_STEP];
    for (ptrdiff_t first = 0; first < n; first += FK_IN_STEP) {
        ptrdiff_t count = n - first < FK_IN_STEP ? n - first : FK_IN_STEP;
        for (ptrdiff_t i = 0; i < count; i++) some[i] = x[(first + i) * stride];
        fk_last_knots(knots, n_knots, some, count, at);
        for (ptrdiff_t i = 0; i < count; i++) {
            int exact = some[i] < knots[0] || at[i] == n_knots - 1 || knots[at[i]] == some[i];
            out[first + i] = exact ? values[at[i]] : isnan(some[i]) ? some[i] : fk_on_line(knots, values, at[i], some[i]);
        }
    }
}

#endif
