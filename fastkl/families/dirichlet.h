/* Dirichlet distribution, one column at a time. With concentration a_j, their sum a_0 and u_j = x_j a_0 / a_j - 1,
 *
 *     log p(x) = -sum_j [a_j phi(u_j) + log x_j] + a_0 (sum_j x_j - 1) + constant,      phi(u) = u - log(1 + u),
 *
 * where the textbook form subtracts numbers of size a_0 log a_0. The descriptor adds the last two terms. Statistics: those of
 * the gamma distribution, weight, mean, and sum of log(mean / x), and what the rounded mean lacks of the exact one: the means of
 * all columns have to sum to 1 with more digits than they have, since a_0 multiplies what is left.
 */
#ifndef FK_FAMILY_DIRICHLET_H
#define FK_FAMILY_DIRICHLET_H

#include "fk_column.h"
#include "fk_log_phi.h"
#include "gamma.h"

enum { DIRICHLET_LEFT = GAMMA_STATISTICS, DIRICHLET_STATISTICS };

static FK_CLONES void dirichlet_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    double left = 0.0;
    gamma_statistics(x, w, n, record);
    if (w) {
        FK_SIMD_SUM(left) for (ptrdiff_t i = 0; i < n; i++) left += w[i] * (x[i] - record[GAMMA_MEAN]);
    } else {
        left = fk_sum_about(x, n, record[GAMMA_MEAN]);
    }
    record[DIRICHLET_LEFT] = left / record[GAMMA_WEIGHT];
}

static void dirichlet_merge(double *into, const double *from) {
    const double first = into[GAMMA_MEAN], share = from[GAMMA_WEIGHT] / (into[GAMMA_WEIGHT] + from[GAMMA_WEIGHT]);
    const double moved = (from[GAMMA_MEAN] - first) * share;
    gamma_merge(into, from);
    into[DIRICHLET_LEFT] += (from[DIRICHLET_LEFT] - into[DIRICHLET_LEFT]) * share + ((first - into[GAMMA_MEAN]) + moved);
}

static FK_CLONES void dirichlet_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double concentration = c[0], inverse_mean = c[1];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double ratio = x[i] * inverse_mean;
        int tiny = !(ratio > 0x1p-1000);
        /* below 2^-1000 phi is log(1 + u) but for its sign and 1 */
        double phi = fk_log_and_phi(tiny ? 1.0 : ratio, tiny ? 0.0 : ratio - 1.0, 0.0).phi, log = fk_log(x[i]);
        out[i] -= concentration * (tiny ? -1.0 - log - fk_log(inverse_mean) : phi) + log;
    }
}

static const fk_column_kernel fk_kernel_dirichlet = {
    .name = "dirichlet",
    .n_statistics = DIRICHLET_STATISTICS,
    .n_constants = 2,
    .statistics = dirichlet_statistics,
    .merge = dirichlet_merge,
    .log_density = dirichlet_log_density,
};

#endif
