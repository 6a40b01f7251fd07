/* Gaussian sums by way of a grid, for one to three columns, with a relative error that does not depend on the distance.
 *
 * With variances a + b + a = 1 a Gaussian is a convolution of three, and with nodes g, g' of a grid of step s
 *     exp(-(x - y)^2 / 2) = c sum_g sum_g' exp(-(x - g)^2 / 2a) exp(-(g - g')^2 / 2b) exp(-(g' - y)^2 / 2a) (1 + e),
 *     c = s^2 / (2 pi a sqrt(b)) per column,   |e| <= 2 exp(-2 pi^2 v / s^2) for each sum,  v = ab / (a + b) or a (1 - a),
 * since the terms, as functions of a node, are themselves Gaussians of variance v: the trapezoidal rule integrates these to e
 * wherever x and y are. All terms are positive, so that nothing cancels and windows that end can only make a sum smaller.
 * References are spread onto windows of `length` nodes, the grid is convolved column by column, and queries gather from windows.
 *
 * Threads own planes of the first column: each adds, in the order of the references, what falls on its planes.
 */
#ifndef FK_GRID_SUMS_H
#define FK_GRID_SUMS_H

#include "fk_math.h"

#define FK_GRID_LONGEST 48 /* nodes of a window at most, a multiple of 4 */
#define FK_GRID_STRIPE 32  /* lines convolved side by side */

typedef struct {
    ptrdiff_t d, length, reach; /* reach: nodes of the convolution on each side */
    ptrdiff_t n[3];             /* nodes of a column; 1 beyond d */
    double low[3], step, factor; /* factor: 1 / 2a */
    const double *taps;          /* reach + 1 */
    double *nodes;
} fk_grid;

/* Weights of a window that begins at node `first` of a column, and with `order` their first or second derivatives by x. */
FK_INLINE void fk_grid_window(const fk_grid *grid, ptrdiff_t column, ptrdiff_t first, double x, int order,
                              double *FK_RESTRICT out) {
    const double from = grid->low[column] + grid->step * (double)first - x, step = grid->step, factor = grid->factor;
    FK_SIMD
    for (ptrdiff_t l = 0; l < grid->length; l++) {
        double t = from + step * (double)l, w = fk_exp_regular(-t * t * factor);
        double slope = 2.0 * factor * t; /* d/dx exp(-(g - x)^2 / 2a) = (g - x) / a times it */
        out[l] = order == 0 ? w : order == 1 ? w * slope : w * (slope * slope - 2.0 * factor);
    }
}

/* Adds references [0, n), whose windows begin at nodes `first` (n, d), to the planes [start, stop) of the first column. */
static FK_CLONES void fk_grid_spread(const fk_grid *grid, const double *FK_RESTRICT x, const int32_t *FK_RESTRICT first,
                                     const double *FK_RESTRICT weight, ptrdiff_t n, ptrdiff_t start, ptrdiff_t stop) {
    const ptrdiff_t d = grid->d, length = grid->length, last = d - 1;
    double own[3][FK_GRID_LONGEST];
    for (ptrdiff_t i = 0; i < n; i++) {
        const int32_t *at = first + i * d;
        for (ptrdiff_t j = 0; j < d; j++) fk_grid_window(grid, j, at[j], x[i * d + j], 0, own[j]);
        const double w = weight ? weight[i] : 1.0;
        const ptrdiff_t low = at[0] > start ? at[0] : start, high = at[0] + length < stop ? at[0] + length : stop;
        if (d == 1) {
            for (ptrdiff_t p = low; p < high; p++) grid->nodes[p] += w * own[0][p - at[0]];
            continue;
        }
        for (ptrdiff_t p = low; p < high; p++) {
            const double of_plane = w * own[0][p - at[0]];
            const ptrdiff_t rows = d == 3 ? length : 1;
            for (ptrdiff_t r = 0; r < rows; r++) {
                const double factor = d == 3 ? of_plane * own[1][r] : of_plane;
                const double *FK_RESTRICT window = own[last];
                double *FK_RESTRICT line =
                    grid->nodes + (d == 3 ? (p * grid->n[1] + at[1] + r) * grid->n[2] + at[2] : p * grid->n[1] + at[1]);
                FK_SIMD
                for (ptrdiff_t l = 0; l < length; l++) line[l] += factor * window[l];
            }
        }
    }
}

/* Sum over the window of a query of nodes times the weights of its columns. */
FK_INLINE double fk_grid_dot(const fk_grid *grid, const int32_t *at, const double *u, const double *v, const double *w) {
    const ptrdiff_t d = grid->d, length = grid->length, rows = d == 3 ? length : 1;
    double total = 0.0;
    if (d == 1) {
        const double *line = grid->nodes + at[0];
        FK_SIMD_SUM(total)
        for (ptrdiff_t l = 0; l < length; l++) total += line[l] * u[l];
        return total;
    }
    const double *window = d == 3 ? w : v;
    for (ptrdiff_t p = 0; p < length; p++) {
        double of_plane = 0.0;
        for (ptrdiff_t r = 0; r < rows; r++) {
            const ptrdiff_t plane = at[0] + p;
            const double *line = grid->nodes + (d == 3 ? (plane * grid->n[1] + at[1] + r) * grid->n[2] + at[2]
                                                       : plane * grid->n[1] + at[1]);
            double of_line = 0.0;
            FK_SIMD_SUM(of_line)
            for (ptrdiff_t l = 0; l < length; l++) of_line += line[l] * window[l];
            of_plane += d == 3 ? of_line * v[r] : of_line;
        }
        total += of_plane * u[p];
    }
    return total;
}

/* Sums (n,) at queries [0, n), and with `order` their derivatives of that order by each column, (n, d). */
static FK_CLONES void fk_grid_gather(const fk_grid *grid, const double *FK_RESTRICT x, const int32_t *FK_RESTRICT first,
                                     ptrdiff_t n, int order, double *FK_RESTRICT sums, double *FK_RESTRICT derivatives) {
    const ptrdiff_t d = grid->d;
    double own[3][FK_GRID_LONGEST], moved[FK_GRID_LONGEST];
    for (ptrdiff_t i = 0; i < n; i++) {
        const int32_t *at = first + i * d;
        for (ptrdiff_t j = 0; j < d; j++) fk_grid_window(grid, j, at[j], x[i * d + j], 0, own[j]);
        sums[i] = fk_grid_dot(grid, at, own[0], own[1], own[2]);
        for (ptrdiff_t j = 0; j < d && order; j++) {
            fk_grid_window(grid, j, at[j], x[i * d + j], order, moved);
            derivatives[i * d + j] = fk_grid_dot(grid, at, j == 0 ? moved : own[0], j == 1 ? moved : own[1],
                                                 j == 2 ? moved : own[2]);
        }
    }
}

/* Convolves `lines` neighbouring lines of `n` nodes, `stride` apart, with the taps; `buffer` holds (n + 2 reach) stripes. */
static FK_CLONES void fk_grid_convolve(const fk_grid *grid, double *FK_RESTRICT nodes, ptrdiff_t n, ptrdiff_t stride,
                                       ptrdiff_t lines, double *FK_RESTRICT buffer) {
    const ptrdiff_t reach = grid->reach;
    for (ptrdiff_t i = 0; i < reach * FK_GRID_STRIPE; i++) buffer[i] = buffer[(n + reach) * FK_GRID_STRIPE + i] = 0.0;
    double *inside = buffer + reach * FK_GRID_STRIPE;
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t l = 0; l < FK_GRID_STRIPE; l++) inside[i * FK_GRID_STRIPE + l] = l < lines ? nodes[i * stride + l] : 0.0;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double sum[FK_GRID_STRIPE];
        const double *centre = inside + i * FK_GRID_STRIPE;
        FK_SIMD
        for (int l = 0; l < FK_GRID_STRIPE; l++) sum[l] = grid->taps[0] * centre[l];
        for (ptrdiff_t t = 1; t <= reach; t++) {
            const double tap = grid->taps[t], *before = centre - t * FK_GRID_STRIPE, *after = centre + t * FK_GRID_STRIPE;
            FK_SIMD
            for (int l = 0; l < FK_GRID_STRIPE; l++) sum[l] += tap * (before[l] + after[l]);
        }
        for (ptrdiff_t l = 0; l < lines; l++) nodes[i * stride + l] = sum[l];
    }
}

/* Convolves one line along itself, for the last column, whose nodes are neighbours. */
static FK_CLONES void fk_grid_convolve_line(const fk_grid *grid, double *FK_RESTRICT nodes, ptrdiff_t n,
                                            double *FK_RESTRICT buffer) {
    const ptrdiff_t reach = grid->reach;
    for (ptrdiff_t i = 0; i < reach; i++) buffer[i] = buffer[n + reach + i] = 0.0;
    double *inside = buffer + reach;
    for (ptrdiff_t i = 0; i < n; i++) {
        inside[i] = nodes[i];
        nodes[i] *= grid->taps[0];
    }
    for (ptrdiff_t start = 0; start < n; start += 512) {
        const ptrdiff_t stop = start + 512 < n ? start + 512 : n;
        for (ptrdiff_t t = 1; t <= reach; t++) {
            const double tap = grid->taps[t];
            FK_SIMD
            for (ptrdiff_t i = start; i < stop; i++) nodes[i] += tap * (inside[i - t] + inside[i + t]);
        }
    }
}

#endif
