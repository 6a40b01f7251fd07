/* Dirichlet distribution, one column at a time. With concentration a_j, their sum a_0 and u_j = x_j a_0 / a_j - 1,
 *
 *     log p(x) = -sum_j [a_j phi(u_j) + log x_j] + a_0 (sum_j x_j - 1) + constant,      phi(u) = u - log(1 + u),
 *
 * where the textbook form subtracts numbers of size a_0 log a_0. The descriptor adds the last two terms. Statistics: weight,
 * mean and centred sum of squares of log x; the last only detects constant columns.
 */
#ifndef FK_FAMILY_DIRICHLET_H
#define FK_FAMILY_DIRICHLET_H

#include "fk_column.h"
#include "fk_log_phi.h"
#include "fk_moments.h"

static FK_CLONES void dirichlet_logs(const double *FK_RESTRICT x, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = fk_log(x[i]);
}

static void dirichlet_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    double logs[FK_BLOCK];
    dirichlet_logs(x, n, logs);
    fk_moments(logs, w, n, record);
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
    .n_statistics = FK_MOMENTS,
    .n_constants = 2,
    .statistics = dirichlet_statistics,
    .merge = fk_merge_moments,
    .log_density = dirichlet_log_density,
};

#endif
