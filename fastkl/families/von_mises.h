/* Von Mises distribution: log p(x) = -2 kappa sin^2((x - loc) / 2) - log(2 pi exp(-kappa) I0(kappa)), angles in
 * radians, of any turn.
 *
 * Statistics: weight, mean direction, and the deficit W - R = sum 2 sin^2((x - direction) / 2) with R the resultant length: for
 * concentrated angles R is W to rounding and only the deficit knows the concentration. Half angles are reduced modulo pi by
 * a three-part pi to [-pi/2, pi/2], where sine and cosine are their Taylor polynomials: error below 2e-16 absolute, sine also
 * relative to itself. Angles beyond 1000 are turned to [-pi, pi] by the C library before anything is subtracted from them: a
 * difference of two of them would be rounded to the digits that a large angle has.
 */
#ifndef FK_FAMILY_VON_MISES_H
#define FK_FAMILY_VON_MISES_H

#include "fk_column.h"
#include "fk_sine.h"
#include <math.h>

enum { VM_WEIGHT, VM_DIRECTION, VM_DEFICIT, VM_STATISTICS };
enum { VM_LOC, VM_TWICE_CONCENTRATION, VM_NORMALISER, VM_CONSTANTS };

#define VM_PI_1 3.1415926534682512e+00 /* pi in three parts, the first two of 33 bits */
#define VM_PI_2 1.2154201012607932e-10
#define VM_PI_3 4.044532497591901e-21
#define VM_FAR 1e3 /* angles up to it are reduced here */

/* The half angle h modulo pi, in [-pi/2, pi/2]. */
FK_INLINE double vm_reduce(double h) {
    double k = (h * 0.318309886183790671538 + 0x1.8p52) - 0x1.8p52;
    return ((h - k * VM_PI_1) - k * VM_PI_2) - k * VM_PI_3;
}

FK_INLINE double vm_cos(double r) {
    double z = r * r, p = 4.1103176233121648e-19;
    p = p * z - 1.5619206968586225e-16;
    p = p * z + 4.7794773323873853e-14;
    p = p * z - 1.1470745597729725e-11;
    p = p * z + 2.0876756987868099e-09;
    p = p * z - 2.7557319223985888e-07;
    p = p * z + 2.4801587301587302e-05;
    p = p * z - 1.3888888888888889e-03;
    p = p * z + 4.1666666666666667e-02;
    return 1.0 - z * (0.5 - z * p);
}

FK_INLINE int vm_far(const double *x, ptrdiff_t n) {
    double largest = 0.0;
    FK_PRAGMA(omp simd reduction(max : largest)) for (ptrdiff_t i = 0; i < n; i++) {
        double size = fabs(x[i]);
        largest = size > largest ? size : largest;
    }
    return largest > VM_FAR;
}

/* The same angle, of size 1000 at most. */
FK_INLINE double vm_turned(double x) { return fabs(x) > VM_FAR ? atan2(sin(x), cos(x)) : x; }

/* Sums of sin(x - centre) and of 1 - cos(x - centre) = 2 sin^2 of the half. */
FK_INLINE double vm_sums(const double *x, const double *w, ptrdiff_t n, double centre, double *weight, double *deficit) {
    double total = 0.0, sines = 0.0, squares = 0.0;
    if (vm_far(x, n)) {
        for (ptrdiff_t i = 0; i < n; i++) {
            double wi = w ? w[i] : 1.0, angle = vm_turned(x[i]) - centre, s = sin(0.5 * angle);
            total += wi;
            sines += wi * sin(angle);
            squares += wi * s * s;
        }
    } else {
        FK_SIMD_SUM(total, sines, squares) for (ptrdiff_t i = 0; i < n; i++) {
            double wi = w ? w[i] : 1.0, r = vm_reduce(0.5 * (x[i] - centre)), s = fk_sin_near_zero(r);
            total += wi;
            sines += wi * (2.0 * s * vm_cos(r));
            squares += wi * s * s;
        }
    }
    *weight = total;
    *deficit = 2.0 * squares;
    return sines;
}

FK_INLINE void von_mises_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double first = vm_turned(x[0]), weight, deficit, sines = vm_sums(x, w, n, first, &weight, &deficit);
    double direction = first + atan2(sines, weight - deficit);
    sines = vm_sums(x, w, n, direction, &weight, &deficit);
    double turn = atan2(sines, weight - deficit), s = sin(0.5 * turn); /* a rounding, unless the resultant is next to nothing */
    record[VM_WEIGHT] = weight;
    record[VM_DIRECTION] = direction + turn;
    record[VM_DEFICIT] = deficit - 2.0 * hypot(sines, weight - deficit) * s * s;
}

static FK_CLONES void von_mises_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) von_mises_statistics_body(x, w, n, record);
    else von_mises_statistics_body(x, NULL, n, record);
}

/* Two resultants add like vectors; turning either to the common direction adds to its deficit. */
static void von_mises_merge(double *into, const double *from) {
    double first = into[VM_WEIGHT] - into[VM_DEFICIT], second = from[VM_WEIGHT] - from[VM_DEFICIT];
    double angle = from[VM_DIRECTION] - into[VM_DIRECTION];
    double turn = atan2(second * sin(angle), first + second * cos(angle));
    double s = sin(0.5 * turn), t = sin(0.5 * (angle - turn));
    into[VM_WEIGHT] += from[VM_WEIGHT];
    into[VM_DIRECTION] += turn;
    into[VM_DEFICIT] += from[VM_DEFICIT] + 2.0 * (first * s * s + second * t * t);
}

static FK_CLONES void von_mises_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double loc = c[VM_LOC], twice = c[VM_TWICE_CONCENTRATION], normaliser = c[VM_NORMALISER];
    if (vm_far(x, n)) {
        for (ptrdiff_t i = 0; i < n; i++) {
            /* as below, so that a row has the same value whatever rows are beside it */
            double s = fk_sin_near_zero(vm_reduce(0.5 * (vm_turned(x[i]) - loc)));
            out[i] += normaliser - twice * (s * s);
        }
        return;
    }
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double s = fk_sin_near_zero(vm_reduce(0.5 * (x[i] - loc)));
        out[i] += normaliser - twice * (s * s);
    }
}

static const fk_column_kernel fk_kernel_von_mises = {
    .name = "von_mises",
    .n_statistics = VM_STATISTICS,
    .n_constants = VM_CONSTANTS,
    .statistics = von_mises_statistics,
    .merge = von_mises_merge,
    .log_density = von_mises_log_density,
};

#endif
