/* The contract of a univariate kernel.
 *
 * A kernel only ever sees one column of one block: 1 <= n <= FK_BLOCK values, contiguous, float64 (float32 rows are widened block
 * by block), weights > 0 or NULL. It allocates nothing and checks nothing: rows of weight 0 are left out by the driver
 * (fk_present.h), rows outside the support are found by it before a sum is formed, and given log-density -inf after a map
 * (fk_column_ops.h). A record begins with the weight; one of weight 0, all of it 0, stands for no rows and is never merged.
 */
#ifndef FK_COLUMN_H
#define FK_COLUMN_H

#include "fk_config.h"
#include <string.h>

typedef struct {
    const char *name;
    int n_statistics; /* length of the record of sufficient statistics, the first being the weight; 0 if the family has none */
    int n_constants;  /* what the descriptor derives from the parameters once a call */
    int n_sums;       /* log-likelihood, gradient and, where the descriptor wants it, the upper triangle of the Hessian */
    /* record = sufficient statistics of the block, centred at the block's own mean */
    void (*statistics)(const double *x, const double *w, ptrdiff_t n, double *record);
    /* into = statistics of both sets of rows together (Chan's formula where there are means) */
    void (*merge)(double *into, const double *from);
    /* out[i] += log-density of x[i]; called by fk_add_log_density alone */
    void (*log_density)(const double *x, ptrdiff_t n, const double *constants, double *out);
    /* sums = weighted sums over the block at fixed parameters; these simply add up over blocks */
    void (*sums)(const double *x, const double *w, ptrdiff_t n, const double *constants, double *sums);
    /* For ascents without a detour through Python (families/solvers/fk_climb.h), on sums with a Hessian: how many coordinates,
     * the constants at parameters in their order, and where a step leads, as the descriptor has it. 0 and NULL without. */
    int n_parameters;
    void (*constants)(const double *params, double *constants);
    void (*move)(const double *params, const double *step, double *moved);
} fk_column_kernel;

/* out[i] += log-density of x[i], with the same bits whatever rows are beside it. */
static inline void fk_add_log_density(const fk_column_kernel *kernel, const double *x, ptrdiff_t n, const double *constants,
                                      double *out) {
    const ptrdiff_t left = n % FK_WHOLE, whole = n - left;
    double values[FK_WHOLE], sums[FK_WHOLE];
    if (whole) kernel->log_density(x, whole, constants, out);
    if (!left) return;
    for (ptrdiff_t i = 0; i < FK_WHOLE; i++) {
        const ptrdiff_t at = whole + (i < left ? i : 0);
        values[i] = x[at];
        sums[i] = out[at];
    }
    kernel->log_density(values, FK_WHOLE, constants, sums);
    memcpy(out + whole, sums, (size_t)left * sizeof(double));
}

/* into = statistics of both sets of rows together, either of which may be empty */
static inline void fk_merge_records(const fk_column_kernel *kernel, double *into, const double *from) {
    if (from[0] == 0.0) return;
    if (into[0] == 0.0) memcpy(into, from, (size_t)kernel->n_statistics * sizeof(double));
    else kernel->merge(into, from);
}

/* Values a column may take. Open ends are given as the next number inwards, so that both comparisons are closed. */
typedef struct {
    double low, high;
    int integral;
} fk_support;

#endif
