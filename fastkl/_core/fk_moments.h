/* Weight, mean and centred sum of squares of a block, and their merge (Chan, Golub, LeVeque 1983, doi:10.2307/2683386). */
#ifndef FK_MOMENTS_H
#define FK_MOMENTS_H

#include "fk_config.h"

enum { FK_WEIGHT, FK_MEAN, FK_M2, FK_MOMENTS };

/* Weighted mean of a block, summed about the first value so that an offset costs no digits. */
FK_INLINE double fk_mean_body(const double *x, const double *w, ptrdiff_t n, double *weight) {
    double total = 0.0, sum = 0.0;
    const double origin = x[0];
    FK_SIMD_SUM(total, sum) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        total += wi;
        sum += wi * (x[i] - origin);
    }
    *weight = total;
    return origin + sum / total;
}

FK_INLINE void fk_moments_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight, m2 = 0.0, left = 0.0;
    double mean = fk_mean_body(x, w, n, &weight);
    FK_SIMD_SUM(m2, left) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, u = x[i] - mean;
        left += wi * u;
        m2 += wi * u * u;
    }
    record[FK_WEIGHT] = weight;
    record[FK_MEAN] = mean + left / weight;
    record[FK_M2] = m2 - left * (left / weight);
}

/* The body is inlined with w a literal NULL in one copy of the loop: no test of the weights inside either. */
static FK_CLONES void fk_moments(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) fk_moments_body(x, w, n, record);
    else fk_moments_body(x, NULL, n, record);
}

static void fk_merge_moments(double *into, const double *from) {
    double weight = into[FK_WEIGHT] + from[FK_WEIGHT], shift = from[FK_MEAN] - into[FK_MEAN];
    double share = from[FK_WEIGHT] / weight;
    into[FK_M2] += from[FK_M2] + shift * shift * into[FK_WEIGHT] * share;
    into[FK_MEAN] += shift * share;
    into[FK_WEIGHT] = weight;
}

#endif
