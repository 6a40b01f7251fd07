/* What the driver does to one column of one block around a kernel: support check and mask. */
#ifndef FK_COLUMN_OPS_H
#define FK_COLUMN_OPS_H

#include "fk_column.h"
#include <math.h>

FK_INLINE int fk_outside(double x, double low, double high, int integral) {
    return (x < low) | (x > high) | (integral & (floor(x) != x));
}

static FK_CLONES ptrdiff_t fk_count_outside(const double *FK_RESTRICT x, ptrdiff_t n, double low, double high, int integral) {
    ptrdiff_t count = 0;
    if (integral) {
        FK_SIMD_SUM(count) for (ptrdiff_t i = 0; i < n; i++) count += fk_outside(x[i], low, high, 1);
    } else {
        FK_SIMD_SUM(count) for (ptrdiff_t i = 0; i < n; i++) count += fk_outside(x[i], low, high, 0);
    }
    return count;
}

/* The whole line: nothing lies outside, not even NaN, which results show. */
FK_INLINE int fk_unbounded(fk_support support) {
    return !support.integral & (support.low == -INFINITY) & (support.high == INFINITY);
}

/* Index of the first value outside the support, or -1. */
static ptrdiff_t fk_first_outside(const double *x, ptrdiff_t n, fk_support support) {
    if (fk_unbounded(support) || fk_count_outside(x, n, support.low, support.high, support.integral) == 0) return -1;
    ptrdiff_t i = 0;
    while (!fk_outside(x[i], support.low, support.high, support.integral)) i++;
    return i;
}

static void fk_mask_outside(const double *x, ptrdiff_t n, fk_support support, double *out) {
    if (fk_unbounded(support) || fk_count_outside(x, n, support.low, support.high, support.integral) == 0) return;
    for (ptrdiff_t i = 0; i < n; i++)
        if (fk_outside(x[i], support.low, support.high, support.integral)) out[i] = -INFINITY;
}

#endif
