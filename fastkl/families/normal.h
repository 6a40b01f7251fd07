/* Normal distribution: log p(x) = -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2.
 *
 * Statistics: weight, mean, and the root of the centred sum of squares: the sum itself would underflow for data of
 * size 1e-170, which have a scale like any other. Each block is centred at its own mean (a second pass over 4096
 * values that are still in cache, with the rounding left over in the mean corrected) and blocks are merged by Chan's
 * formula: data at 1e8 +- 1 lose nothing, where E[x^2] - E[x]^2 would lose everything.
 */
#ifndef FK_FAMILY_NORMAL_H
#define FK_FAMILY_NORMAL_H

#include "fk_column.h"
#include "fk_moments.h"

enum { NORMAL_WEIGHT, NORMAL_MEAN, NORMAL_DEVIATION, NORMAL_STATISTICS };
enum { NORMAL_LOC, NORMAL_INVERSE_SCALE, NORMAL_LOG_NORMALISER, NORMAL_CONSTANTS };

static void normal_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    fk_moments(x, w, n, record);
    double squares = record[FK_M2], unit = 1.0;
    if (!fk_squares_are_safe(squares)) {
        double weight, left, mean = fk_mean_body(x, w, n, &weight);
        unit = fk_unit_about(x, n, mean);
        squares = fk_squares_about(x, w, n, mean, 1.0 / unit, &left);
        record[NORMAL_MEAN] = mean + unit * (left / weight);
        squares -= left * (left / weight);
    }
    record[NORMAL_DEVIATION] = unit * sqrt(squares > 0.0 ? squares : (squares == squares ? 0.0 : squares));
}

static void normal_merge(double *into, const double *from) {
    double weight = into[NORMAL_WEIGHT] + from[NORMAL_WEIGHT], shift = from[NORMAL_MEAN] - into[NORMAL_MEAN];
    double share = from[NORMAL_WEIGHT] / weight, apart = fabs(shift) * sqrt(into[NORMAL_WEIGHT] * share);
    into[NORMAL_DEVIATION] = hypot(hypot(into[NORMAL_DEVIATION], from[NORMAL_DEVIATION]), apart);
    into[NORMAL_MEAN] += shift * share;
    into[NORMAL_WEIGHT] = weight;
}

static FK_CLONES void normal_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                         double *FK_RESTRICT out) {
    const double loc = c[NORMAL_LOC], inverse = c[NORMAL_INVERSE_SCALE], normaliser = c[NORMAL_LOG_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double z = (x[i] - loc) * inverse;
        out[i] += normaliser - 0.5 * z * z;
    }
}

static const fk_column_kernel fk_kernel_normal = {
    .name = "normal",
    .n_statistics = NORMAL_STATISTICS,
    .n_constants = NORMAL_CONSTANTS,
    .statistics = normal_statistics,
    .merge = normal_merge,
    .log_density = normal_log_density,
};

#endif
