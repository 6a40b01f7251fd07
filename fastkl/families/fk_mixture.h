/* From the log-densities of a block of rows under k components to the logarithm of their sum and the responsibilities. */
#ifndef FK_MIXTURE_H
#define FK_MIXTURE_H

#include "fk_math.h"

#define FK_MIXTURE_ROWS 256 /* of a tile: its largest terms and sums stay in the first cache */

/* evidence[i] = log sum_k exp(logs[k][i]), for k rows of numbers `stride` apart; with `share` the logs become the share of each
 * term in the sum. A row whose terms are all -inf has evidence -inf and shares 0. */
static FK_CLONES void fk_log_sum_exp(double *FK_RESTRICT logs, ptrdiff_t n, ptrdiff_t components, ptrdiff_t stride, int share,
                                     double *FK_RESTRICT evidence) {
    double high[FK_MIXTURE_ROWS], sum[FK_MIXTURE_ROWS];
    for (ptrdiff_t start = 0; start < n; start += FK_MIXTURE_ROWS) {
        const ptrdiff_t rows = n - start < FK_MIXTURE_ROWS ? n - start : FK_MIXTURE_ROWS;
        double *out = evidence + start;
        FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) high[i] = logs[start + i];
        for (ptrdiff_t k = 1; k < components; k++) {
            const double *own = logs + k * stride + start;
            FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) high[i] = own[i] > high[i] ? own[i] : high[i];
        }
        FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) {
            high[i] = high[i] > -INFINITY ? high[i] : 0.0;
            sum[i] = 0.0;
        }
        for (ptrdiff_t k = 0; k < components; k++) {
            double *own = logs + k * stride + start;
            if (share) FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) sum[i] += own[i] = fk_exp(own[i] - high[i]);
            else FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) sum[i] += fk_exp(own[i] - high[i]);
        }
        FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) {
            out[i] = high[i] + fk_log(sum[i]);
            sum[i] = sum[i] > 0.0 ? 1.0 / sum[i] : 0.0;
        }
        if (share)
            for (ptrdiff_t k = 0; k < components; k++) {
                double *own = logs + k * stride + start;
                FK_SIMD for (ptrdiff_t i = 0; i < rows; i++) own[i] *= sum[i];
            }
    }
}

/* Every one of k rows of numbers times the same weights. */
static FK_CLONES void fk_weigh(double *FK_RESTRICT x, ptrdiff_t n, ptrdiff_t components, ptrdiff_t stride,
                               const double *FK_RESTRICT w) {
    for (ptrdiff_t k = 0; k < components; k++) FK_SIMD for (ptrdiff_t i = 0; i < n; i++) x[k * stride + i] *= w[i];
}

/* Sum of (w) x; a weight of 0 leaves its value out, whatever it is. */
static FK_CLONES double fk_weighted_sum(const double *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n) {
    double sum = 0.0;
    if (w) FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < n; i++) sum += w[i] != 0.0 ? w[i] * x[i] : 0.0;
    else FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

#endif
