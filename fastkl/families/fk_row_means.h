/* One column of a block of rows that have to fulfil an equation: what it adds to the left side of every row, and its mean.
 *
 * The check is a plain sum, off by some units in the last place: rows that it refuses are looked at again with more digits.
 */
#ifndef FK_ROW_MEANS_H
#define FK_ROW_MEANS_H

#include "fk_sum_about.h"
#include "fk_sum_log.h"

/* (Weighted) sum of the logarithms of positive parts; *wrong counts parts that are not positive, or too small for it. */
FK_INLINE double fk_part_logs_body(const double *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n,
                                   double *FK_RESTRICT total, ptrdiff_t *wrong) {
    ptrdiff_t outside = 0, irregular = 0;
    double logs = 0.0;
    FK_SIMD_SUM(outside) for (ptrdiff_t i = 0; i < n; i++) {
        total[i] += x[i];
        outside += !((x[i] > 0.0) & (x[i] < 2.0));
    }
    if (outside) {
        *wrong += outside;
        return 0.0;
    }
    if (w) {
        FK_SIMD_SUM(logs) for (ptrdiff_t i = 0; i < n; i++) logs += w[i] * fk_log(x[i]);
    } else {
        logs = fk_sum_log(x, n, 1.0, &irregular);
    }
    *wrong += irregular;
    return logs;
}

static FK_CLONES double fk_part_logs(const double *x, const double *w, ptrdiff_t n, double *total, ptrdiff_t *wrong) {
    return w ? fk_part_logs_body(x, w, n, total, wrong) : fk_part_logs_body(x, NULL, n, total, wrong);
}

/* (Weighted) sum of the coordinates of unit vectors, about the first of them: `origin`. */
FK_INLINE double fk_coordinates_body(const double *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n,
                                     double *FK_RESTRICT total, double origin) {
    double sum = 0.0;
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) total[i] += x[i] * x[i];
    if (!w) return fk_sum_about(x, n, origin);
    FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < n; i++) sum += w[i] * (x[i] - origin);
    return sum;
}

static FK_CLONES double fk_coordinates(const double *x, const double *w, ptrdiff_t n, double *total, double origin) {
    return w ? fk_coordinates_body(x, w, n, total, origin) : fk_coordinates_body(x, NULL, n, total, origin);
}

/* How many totals are off 1 by more than allowed, or no number. */
static FK_CLONES ptrdiff_t fk_off_one(const double *total, ptrdiff_t n, double allowed) {
    ptrdiff_t off = 0;
    FK_SIMD_SUM(off) for (ptrdiff_t i = 0; i < n; i++) off += !(fabs(total[i] - 1.0) <= allowed);
    return off;
}

static FK_CLONES double fk_sum_weights(const double *w, ptrdiff_t n) {
    double sum = 0.0;
    FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < n; i++) sum += w[i];
    return sum;
}

#endif
