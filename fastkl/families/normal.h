/* Normal law: log p(x) = -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2.
 *
 * Statistics: weight, mean, and the centred sum of squares m2. Each block is centred at its own mean (a second pass over 4096
 * values that are still in cache, with the rounding left over in the mean corrected) and blocks are merged by Chan's formula:
 * data at 1e8 +- 1 lose nothing, where E[x^2] - E[x]^2 would lose everything.
 */
#ifndef FK_FAMILY_NORMAL_H
#define FK_FAMILY_NORMAL_H

#include "fk_column.h"
#include "fk_moments.h"

enum { NORMAL_LOC, NORMAL_INVERSE_SCALE, NORMAL_LOG_NORMALISER, NORMAL_CONSTANTS };

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
    .n_statistics = FK_MOMENTS,
    .n_constants = NORMAL_CONSTANTS,
    .statistics = fk_moments,
    .merge = fk_merge_moments,
    .log_density = normal_log_density,
};

#endif
