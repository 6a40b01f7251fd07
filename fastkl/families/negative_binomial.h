/* Negative binomial distribution with size r and mean m, in saddle-point form: with phi, delta and h as in fk_counts.h
 * and n = x + r,
 *
 *     log p(x) = -r phi(a) - x phi(b) + delta(n) - delta(r) - delta(x) - log(2 pi x n / r) / 2,     x > 0,
 *     a = (x - m) / (r + m),   b = -a r / x,   1 + a = n / (r + m),   1 + b = m n / ((r + m) x).
 *
 * No term is larger than the result, so that sizes of 1e8 lose nothing; size = infinity is the Poisson distribution.
 * The record beside the tallies that the descriptor keeps: weight, mean, sum of squares about it.
 */
#ifndef FK_FAMILY_NEGATIVE_BINOMIAL_H
#define FK_FAMILY_NEGATIVE_BINOMIAL_H

#include "fk_counts.h"
#include "fk_moments.h"

enum { NB_SIZE, NB_MEAN, NB_INVERSE_SUM, NB_ZERO, NB_NORMALISER, NB_CONSTANTS };

static FK_CLONES void nb_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                     double *FK_RESTRICT out) {
    const double r = c[NB_SIZE], m = c[NB_MEAN], inverse_sum = c[NB_INVERSE_SUM], zero = c[NB_ZERO];
    const double normaliser = c[NB_NORMALISER], share = m * inverse_sum;
    if (!(r < INFINITY)) {
        fk_poisson_body(x, n, m, -m, 0.0, out);
        return;
    }
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double k = x[i] > 0.0 ? x[i] : 1.0, inverse = 1.0 / k, total = k + r;
        double a = (k - m) * inverse_sum, b = -a * (r * inverse);
        double phi_a = fk_log_and_phi(total * inverse_sum, a, 0.0).phi;
        double phi_b = fk_log_and_phi(share * total * inverse, b, 0.0).phi;
        double y = normaliser - r * phi_a - k * phi_b - 0.5 * fk_log(k * total) + fk_stirling(1.0 / total) -
                   fk_stirling(inverse);
        out[i] += x[i] == 0.0 ? zero : y;
    }
}

static const fk_column_kernel fk_kernel_negative_binomial = {
    .name = "negative_binomial",
    .n_statistics = FK_MOMENTS,
    .n_constants = NB_CONSTANTS,
    .statistics = fk_moments,
    .merge = fk_merge_moments,
    .log_density = nb_log_density,
};

#endif
