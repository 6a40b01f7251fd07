/* A sum about a point, so that an offset costs no digits. */
#ifndef FK_SUM_ABOUT_H
#define FK_SUM_ABOUT_H

#include "fk_config.h"

/* sum of x - origin. Each of the four quarters of a block is a stream of its own: one addition waits for the one
 * before only every fourth value, where a plain loop is bound by that wait. */
FK_INLINE double fk_sum_about(const double *x, ptrdiff_t n, double origin) {
    const ptrdiff_t q = n / 4;
    const double *second = x + q, *third = second + q, *fourth = third + q;
    double sum = 0.0;
    FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < q; i++)
        sum += ((x[i] - origin) + (second[i] - origin)) + ((third[i] - origin) + (fourth[i] - origin));
    for (ptrdiff_t i = 4 * q; i < n; i++) sum += x[i] - origin;
    return sum;
}

#endif
