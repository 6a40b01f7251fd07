/* Rows of weight 0 count as absent, whatever values they hold: kernels see those that are left, moved together. */
#ifndef FK_PRESENT_H
#define FK_PRESENT_H

#include "fk_config.h"

/* How many weights are not 0 (NaN, which results show, is not). */
static FK_CLONES ptrdiff_t fk_count_present(const double *FK_RESTRICT w, ptrdiff_t n) {
    double absent = 0.0; /* a number like those compared: one width of registers for both */
    FK_SIMD_SUM(absent) for (ptrdiff_t i = 0; i < n; i++) absent += w[i] == 0.0 ? 1.0 : 0.0;
    return n - (ptrdiff_t)absent;
}

/* The values whose weight is not 0, in their order, and how many they are; out may be x, or w itself. */
static ptrdiff_t fk_keep_present(const double *x, const double *w, ptrdiff_t n, double *out) {
    ptrdiff_t kept = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double value = x[i];
        int present = w[i] != 0.0;
        out[kept] = value;
        kept += present;
    }
    return kept;
}

/* The place among all of the value at a place among those kept. */
static ptrdiff_t fk_place_of_present(const double *w, ptrdiff_t at) {
    ptrdiff_t i = 0;
    for (;; i++)
        if (w[i] != 0.0 && at-- == 0) return i;
}

#endif
