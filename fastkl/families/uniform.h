/* Uniform distribution on [low, high]. Statistics: weight, minimum, maximum; a NaN or an infinity, which comparisons
 * would hide, spoils both through the sum of x - x. */
#ifndef FK_FAMILY_UNIFORM_H
#define FK_FAMILY_UNIFORM_H

#include "fk_column.h"
#include <math.h>

enum { UNIFORM_LOW, UNIFORM_HIGH, UNIFORM_NORMALISER, UNIFORM_CONSTANTS };

static FK_CLONES void uniform_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    double low = x[0], high = x[0], bad = 0.0, weight = 0.0;
    const ptrdiff_t half = n / 2; /* two streams: a comparison waits for the one before only every second value */
    const double *second = x + half;
    FK_PRAGMA(omp simd reduction(min : low) reduction(max : high) reduction(+ : bad))
    for (ptrdiff_t i = 0; i < half; i++) {
        double a = x[i], b = second[i], least = a < b ? a : b, most = a > b ? a : b;
        low = least < low ? least : low;
        high = most > high ? most : high;
        bad += (a - a) + (b - b);
    }
    if (n % 2) {
        double last = x[n - 1];
        low = last < low ? last : low;
        high = last > high ? last : high;
        bad += last - last;
    }
    if (w) {
        FK_SIMD_SUM(weight) for (ptrdiff_t i = 0; i < n; i++) weight += w[i];
    } else {
        weight = (double)n;
    }
    record[0] = weight;
    record[1] = low + bad;
    record[2] = high + bad;
}

static void uniform_merge(double *into, const double *from) {
    double bad = (into[1] - into[1]) + (from[1] - from[1]);
    into[0] += from[0];
    into[1] = (from[1] < into[1] ? from[1] : into[1]) + bad;
    into[2] = (from[2] > into[2] ? from[2] : into[2]) + bad;
}

static FK_CLONES void uniform_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                          double *FK_RESTRICT out) {
    const double low = c[UNIFORM_LOW], high = c[UNIFORM_HIGH], normaliser = c[UNIFORM_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double inside = x[i] == x[i] ? normaliser : x[i];
        out[i] += (x[i] < low) | (x[i] > high) ? -INFINITY : inside;
    }
}

static const fk_column_kernel fk_kernel_uniform = {
    .name = "uniform",
    .n_statistics = 3,
    .n_constants = UNIFORM_CONSTANTS,
    .statistics = uniform_statistics,
    .merge = uniform_merge,
    .log_density = uniform_log_density,
};

#endif
