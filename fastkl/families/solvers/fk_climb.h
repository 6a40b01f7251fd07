/* Newton ascent on the likelihood of one column, as in newton.py, for rows that fit into a cache: no array is made on the way,
 * so that a hundred rows cost microseconds. The kernel gives log-likelihood, gradient and Hessian in its coordinates, what it
 * derives from the parameters, and where a step in the coordinates leads; all else is the same for every family.
 *
 * A step solves with the absolute eigenvalues of the Hessian, is cut where the quadratic model cannot be trusted and shortened
 * until the likelihood does not fall. Sums are in units of the weight's power of two.
 */
#ifndef FK_CLIMB_H
#define FK_CLIMB_H

#include "fk_column.h"
#include <math.h>

#define FK_MOST_PARAMETERS 3
#define FK_MOST_SUMS (1 + FK_MOST_PARAMETERS + FK_MOST_PARAMETERS * (FK_MOST_PARAMETERS + 1) / 2)
#define FK_MOST_CONSTANTS 16
#define FK_LONGEST_STEP 2.5
#define FK_SHORTEN 0.25
#define FK_MOST_SHORTENINGS 40
#define FK_FUTILE 10 /* a step shortened so often that still gains nothing is the last one: rounding is all that is left */
#define FK_MOST_WIDENINGS 400
#define FK_NOISE 1e-13
#define FK_RELATIVE_TARGET 1e-13

/* What all climbs on a column have in common. A climb is given up where a parameter leaves [low, high]; a start whose likelihood
 * has underflowed is widened by a factor of the parameter `spread` (-1: none). */
typedef struct {
    const fk_column_kernel *kernel;
    const double *x, *w;
    ptrdiff_t n;
    double weight, unit, tol;
    int max_iter, spread;
    double factor;
    int free[FK_MOST_PARAMETERS];
} fk_hill;

typedef struct {
    double params[FK_MOST_PARAMETERS], sums[FK_MOST_SUMS];
    int n_iter, converged;
} fk_summit;

static void fk_evaluate(const fk_hill *hill, const double *params, double *sums) {
    const int length = hill->kernel->n_sums;
    double constants[FK_MOST_CONSTANTS], part[FK_MOST_SUMS];
    hill->kernel->constants(params, constants);
    for (int i = 0; i < length; i++) sums[i] = 0.0;
    for (ptrdiff_t at = 0; at < hill->n; at += FK_BLOCK) {
        const ptrdiff_t rows = hill->n - at < FK_BLOCK ? hill->n - at : FK_BLOCK;
        hill->kernel->sums(hill->x + at, hill->w ? hill->w + at : NULL, rows, constants, part);
        for (int i = 0; i < length; i++) sums[i] += part[i];
    }
    for (int i = 0; i < length; i++) sums[i] /= hill->unit;
}

/* Eigenvalues and vectors (columns of v) of a symmetric matrix of order m <= 3, by Jacobi's rotations. */
static void fk_eigen(int m, double a[3][3], double v[3][3]) {
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) v[i][j] = i == j;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, size = 0.0;
        for (int i = 0; i < m; i++)
            for (int j = 0; j < m; j++) {
                size = fmax(size, fabs(a[i][j]));
                if (i != j) off = fmax(off, fabs(a[i][j]));
            }
        if (off <= 1e-17 * size) return;
        for (int p = 0; p < m - 1; p++)
            for (int q = p + 1; q < m; q++) {
                if (a[p][q] == 0.0) continue;
                const double theta = 0.5 * (a[q][q] - a[p][p]) / a[p][q];
                const double t = copysign(1.0, theta) / (fabs(theta) + hypot(1.0, theta)), c = 1.0 / sqrt(1.0 + t * t), s = t * c;
                for (int k = 0; k < m; k++) {
                    const double kp = a[k][p], kq = a[k][q];
                    a[k][p] = c * kp - s * kq;
                    a[k][q] = s * kp + c * kq;
                }
                for (int k = 0; k < m; k++) {
                    const double pk = a[p][k], qk = a[q][k];
                    a[p][k] = c * pk - s * qk;
                    a[q][k] = s * pk + c * qk;
                }
                for (int k = 0; k < m; k++) {
                    const double kp = v[k][p], kq = v[k][q];
                    v[k][p] = c * kp - s * kq;
                    v[k][q] = s * kp + c * kq;
                }
            }
    }
}

/* Uphill Newton step of the free coordinates, and half of what it gains; NaN where the sums are not finite. */
static double fk_newton_step(const fk_hill *hill, const int *free, const double *sums, double *step) {
    const int p = hill->kernel->n_parameters;
    int kept[FK_MOST_PARAMETERS], m = 0;
    double a[3][3], v[3][3], largest = 0.0, decrement = 0.0, longest = 0.0;
    for (int i = 0; i < p; i++) {
        step[i] = 0.0;
        if (free[i]) kept[m++] = i;
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            const int r = kept[i] < kept[j] ? kept[i] : kept[j], c = kept[i] < kept[j] ? kept[j] : kept[i];
            a[i][j] = -sums[1 + p + r * p - r * (r + 1) / 2 + c];
            if (!(fabs(a[i][j]) < INFINITY)) return NAN;
        }
    for (int i = 0; i < m; i++)
        if (!(fabs(sums[1 + kept[i]]) < INFINITY)) return NAN;
    if (!(fabs(sums[0]) < INFINITY)) return NAN;
    fk_eigen(m, a, v);
    for (int k = 0; k < m; k++) largest = fmax(largest, fabs(a[k][k]));
    for (int k = 0; k < m; k++) {
        const double size = fmax(fabs(a[k][k]), 1e-14 * largest + 1e-300);
        double along = 0.0;
        for (int i = 0; i < m; i++) along += v[i][k] * sums[1 + kept[i]];
        decrement += 0.5 * along * along / size;
        for (int i = 0; i < m; i++) step[kept[i]] += v[i][k] * along / size;
    }
    for (int i = 0; i < p; i++) longest = fmax(longest, fabs(step[i]));
    if (longest > FK_LONGEST_STEP)
        for (int i = 0; i < p; i++) step[i] *= FK_LONGEST_STEP / longest;
    return decrement;
}

static int fk_left(const fk_hill *hill, const double *params, const double *low, const double *high) {
    for (int i = 0; i < hill->kernel->n_parameters; i++)
        if (hill->free[i] && !(params[i] >= low[i] && params[i] <= high[i])) return 1;
    return 0;
}

/* The same with each coordinate held whose step is lost in the rounding of its parameter, as that of a location far from 0 is:
 * it leaves the number as it is, or goes to the next one and back. */
static double fk_resolved_step(const fk_hill *hill, const fk_summit *at, double before, double *step) {
    const int p = hill->kernel->n_parameters;
    int free[FK_MOST_PARAMETERS], lost = 1;
    double trial[FK_MOST_PARAMETERS], decrement = NAN;
    for (int i = 0; i < p; i++) free[i] = hill->free[i];
    while (lost) {
        decrement = fk_newton_step(hill, free, at->sums, step);
        lost = 0;
        if (isnan(decrement)) break;
        for (int i = 0; i < p; i++) trial[i] = at->params[i];
        hill->kernel->move(at->params, step, trial);
        for (int i = 0; i < p; i++) {
            const double next = nextafter(at->params[i], trial[i]);
            if (!free[i] || !(trial[i] == at->params[i] || (trial[i] == next && decrement >= 0.1 * before))) continue;
            free[i] = 0;
            lost = 1;
        }
    }
    return decrement;
}

/* Climb from at->params; low and high are the bounds of this climb. */
static void fk_climb(const fk_hill *hill, const double *low, const double *high, fk_summit *at) {
    const int p = hill->kernel->n_parameters;
    double step[FK_MOST_PARAMETERS], trial[FK_MOST_PARAMETERS], sums[FK_MOST_SUMS], before = INFINITY, left = INFINITY;
    int any = 0, stuck = 0, k;
    for (int i = 0; i < p; i++) any |= hill->free[i];
    fk_evaluate(hill, at->params, at->sums);
    for (k = 0; k < FK_MOST_WIDENINGS && hill->spread >= 0 && hill->free[hill->spread] && at->sums[0] == -INFINITY; k++) {
        at->params[hill->spread] *= hill->factor;
        fk_evaluate(hill, at->params, at->sums);
    }
    at->n_iter = 1;
    at->converged = any ? 0 : fabs(at->sums[0]) < INFINITY;
    if (!any) return;
    for (;; at->n_iter++) {
        const double decrement = fk_resolved_step(hill, at, before, step);
        left = decrement / hill->weight;
        /* at the level of rounding the decrement no longer shrinks */
        int done = left <= FK_RELATIVE_TARGET * hill->tol || (left <= fmin(hill->tol, 1e-12) && decrement >= 0.1 * before);
        done |= stuck || isnan(left) || fk_left(hill, at->params, low, high) || at->n_iter >= hill->max_iter;
        if (done) break;
        before = decrement;
        const double slack = FK_NOISE * (fabs(at->sums[0]) + hill->weight);
        stuck = 1;
        for (k = 0; k < FK_MOST_SHORTENINGS && stuck; k++) {
            for (int i = 0; i < p; i++) trial[i] = at->params[i];
            hill->kernel->move(at->params, step, trial);
            fk_evaluate(hill, trial, sums);
            stuck = !(sums[0] >= at->sums[0] - slack);
            for (int i = 0; i < p; i++) step[i] *= FK_SHORTEN;
        }
        if (stuck) continue;
        stuck = k > FK_FUTILE + 1 && !(sums[0] > at->sums[0]);
        memcpy(at->params, trial, sizeof trial);
        memcpy(at->sums, sums, sizeof sums);
    }
    /* or what is left is lost in the sum */
    if (left * hill->weight <= FK_NOISE * fabs(at->sums[0])) left = 0.0;
    at->converged = left <= hill->tol && !fk_left(hill, at->params, low, high);
}

/* Whether the first summit counts for more: a converged one before one that is not, then the higher; NaN is the lowest. */
static int fk_better(const fk_summit *first, const fk_summit *second) {
    if (first->converged != second->converged) return first->converged;
    return !isnan(first->sums[0]) && !(first->sums[0] <= second->sums[0]);
}

#endif
