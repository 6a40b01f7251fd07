/* Maxwell law: log p(x) = 2 log(x / s) - (x / s)^2 / 2 - log s + log(2 / pi) / 2 on x > 0. Statistics: weight, mean square
 * and mean log. */
#ifndef FK_FAMILY_MAXWELL_H
#define FK_FAMILY_MAXWELL_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include "fk_means.h"

enum { MAXWELL_SCALE, MAXWELL_INVERSE_SCALE, MAXWELL_NORMALISER, MAXWELL_CONSTANTS };

/* One body for rows with and without weights: the compiler drops the test where w is NULL. */
FK_INLINE void maxwell_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight = 0.0, squares = 0.0, logs = 0.0;
    FK_SIMD_SUM(weight, squares, logs) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        weight += wi;
        squares += wi * x[i] * x[i];
        logs += wi * fk_log(x[i]);
    }
    record[0] = weight;
    record[1] = squares / weight;
    record[2] = logs / weight;
}

static FK_CLONES void maxwell_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) maxwell_statistics_body(x, w, n, record);
    else maxwell_statistics_body(x, NULL, n, record);
}

/* A weight followed by two weighted means. */
static void maxwell_merge(double *into, const double *from) { fk_merge_means(into, from, 2); }

/* Adds to out, which holds what the other columns of the rows gave. c holds what the Python side calls constants. */
static FK_CLONES void maxwell_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                          double *FK_RESTRICT out) {
    const double scale = c[MAXWELL_SCALE], inverse = c[MAXWELL_INVERSE_SCALE], normaliser = c[MAXWELL_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double z = x[i] * inverse;
        out[i] += normaliser + (2.0 * fk_log_ratio(x[i], scale, inverse) - 0.5 * z * z);
    }
}

static const fk_column_kernel fk_kernel_maxwell = {
    .name = "maxwell",
    .n_statistics = 3,
    .n_constants = MAXWELL_CONSTANTS,
    .statistics = maxwell_statistics,
    .merge = maxwell_merge,
    .log_density = maxwell_log_density,
};

#endif
