/* Rows that have to fulfil an equation (parts that sum to 1, unit length), and the log-density of a row of multinomial counts. */
#ifndef FK_ROW_SUMS_H
#define FK_ROW_SUMS_H

#include "fk_config.h"
#include "fk_counts.h"

/* out = sum_j a_j x_j - 1 in twice the working precision (T. Ogita, S. Rump, S. Oishi 2005, doi:10.1137/030601818): a large
 * concentration multiplies what is left over. Without a the coefficients are the row itself. */
#define FK_DEFINE_EXCESS(real, suffix)                                                                                \
    static FK_CLONES void fk_row_excess_##suffix(const real *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t d, const double *a, \
                                                 double *FK_RESTRICT out) {                                           \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                           \
            double high = -1.0, low = 0.0;                                                                            \
            for (ptrdiff_t j = 0; j < d; j++) {                                                                       \
                double v = x[i * d + j], c = a ? a[j] : v, product = v * c, sum = high + product, part = sum - high;  \
                low += ((high - (sum - part)) + (product - part)) + fma(v, c, -product);                              \
                high = sum;                                                                                           \
            }                                                                                                         \
            out[i] = high + low;                                                                                      \
        }                                                                                                             \
    }                                                                                                                 \
    static void fk_copy_column_##suffix(const real *x, ptrdiff_t n, ptrdiff_t d, ptrdiff_t j, double *FK_RESTRICT out) { \
        for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i * d + j];                                                      \
    }
FK_DEFINE_EXCESS(double, f64)
FK_DEFINE_EXCESS(float, f32)

static FK_CLONES void fk_add_to(double *FK_RESTRICT total, const double *FK_RESTRICT x, ptrdiff_t n) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) total[i] += x[i];
}

/* out -= D(x, total p) + h(x): the share of one column in the log-probability of its row */
static FK_CLONES void fk_multinomial_column(const double *FK_RESTRICT x, const double *FK_RESTRICT total, ptrdiff_t n, double p,
                                            double *FK_RESTRICT out) {
    if (p == 0.0) {
        for (ptrdiff_t i = 0; i < n; i++) out[i] = x[i] > 0.0 ? -INFINITY : out[i];
        return;
    }
    const fk_rate m = fk_make_rate(p);
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double count = x[i] > 0.0 ? x[i] : 1.0, inverse = 1.0 / count, rate = total[i] * p;
        /* a row without trials has no positive count; the quotient only has to stay a normal number there */
        double ratio = total[i] > 0.0 ? total[i] * m.scaled * inverse : 1.0;
        double deviance = count * fk_log_and_phi(ratio, (rate - count) * inverse, m.shift).phi;
        double normaliser = 0.5 * fk_log(count) + FK_HALF_LOG_2PI + fk_stirling(inverse);
        out[i] -= x[i] > 0.0 ? deviance + normaliser : rate;
    }
}

/* out = h(total), 0 for a row without trials */
static FK_CLONES void fk_multinomial_start(const double *FK_RESTRICT total, ptrdiff_t n, double *FK_RESTRICT out) {
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double count = total[i] > 0.0 ? total[i] : 1.0;
        double h = 0.5 * fk_log(count) + FK_HALF_LOG_2PI + fk_stirling(1.0 / count);
        out[i] = total[i] > 0.0 ? h : 0.0;
    }
}

#endif
