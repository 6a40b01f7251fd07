/* Weight and mean of a block, and the merge of such records (further means may follow in the record). */
#ifndef FK_MEANS_H
#define FK_MEANS_H

#include "fk_moments.h"

/* The weighted mean of x, with the rounding left over after the first pass corrected. */
FK_INLINE double fk_corrected_mean_body(const double *x, const double *w, ptrdiff_t n, double *weight) {
    double left = 0.0, mean = fk_mean_body(x, w, n, weight);
    if (w) {
        FK_SIMD_SUM(left) for (ptrdiff_t i = 0; i < n; i++) left += w[i] * (x[i] - mean);
    } else {
        left = fk_sum_about(x, n, mean);
    }
    return mean + left / *weight;
}

/* The mean of values of one sign in a single pass, right to a rounding or two: nothing cancels, and each of the many parts
 * that the sum is taken in sees few additions. It overflows where the sum does, above 1e304. */
FK_INLINE double fk_plain_mean_body(const double *x, ptrdiff_t n) { return fk_sum_about(x, n, 0.0) / (double)n; }

/* into[0] is the weight, into[1..means] are means. */
static inline void fk_merge_means(double *into, const double *from, int means) {
    double weight = into[0] + from[0], share = from[0] / weight;
    for (int k = 1; k <= means; k++) into[k] += (from[k] - into[k]) * share;
    into[0] = weight;
}

/* The root mean square of x, and the weight; in units of the largest value where its squares would overflow or
 * underflow. */
FK_INLINE double fk_root_mean_square_body(const double *x, const double *w, ptrdiff_t n, double *weight) {
    double left, unit = 1.0, squares = fk_squares_about(x, w, n, 0.0, 1.0, &left);
    if (!fk_squares_are_safe(squares)) {
        unit = fk_unit_about(x, n, 0.0);
        squares = fk_squares_about(x, w, n, 0.0, 1.0 / unit, &left);
    }
    *weight = (double)n;
    if (w) {
        double total = 0.0;
        FK_SIMD_SUM(total) for (ptrdiff_t i = 0; i < n; i++) total += w[i];
        *weight = total;
    }
    return unit * sqrt(squares / *weight);
}

/* Root mean square of two parts from those of either and the second's share of the weight. */
static inline double fk_merged_root(double first, double second, double share) {
    return hypot(first * sqrt(1.0 - share), second * sqrt(share));
}

#endif
