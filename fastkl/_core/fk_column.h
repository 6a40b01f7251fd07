/* The contract of a univariate kernel.
 *
 * A kernel only ever sees one column of one block: n <= FK_BLOCK values, contiguous, float64 (float32 rows are widened block by
 * block), weights or NULL. It allocates nothing and checks nothing: rows outside the support are found by the driver
 * before a sum is formed, and given log-density -inf after a map (fk_column_ops.h).
 */
#ifndef FK_COLUMN_H
#define FK_COLUMN_H

#include "fk_config.h"

typedef struct {
    const char *name;
    int n_statistics; /* length of the record of sufficient statistics; 0 if the family has none */
    int n_constants;  /* what the descriptor derives from the parameters once a call */
    int n_sums;       /* log-likelihood, gradient and, where the descriptor wants it, the upper triangle of the Hessian */
    /* record = sufficient statistics of the block, centred at the block's own mean */
    void (*statistics)(const double *x, const double *w, ptrdiff_t n, double *record);
    /* into = statistics of both sets of rows together (Chan's formula where there are means) */
    void (*merge)(double *into, const double *from);
    /* out[i] += log-density of x[i] */
    void (*log_density)(const double *x, ptrdiff_t n, const double *constants, double *out);
    /* sums = weighted sums over the block at fixed parameters; these simply add up over blocks */
    void (*sums)(const double *x, const double *w, ptrdiff_t n, const double *constants, double *sums);
} fk_column_kernel;

/* Values a column may take. Open ends are given as the next number inwards, so that both comparisons are closed. */
typedef struct {
    double low, high;
    int integral;
} fk_support;

#endif
