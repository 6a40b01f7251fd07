/* Distances from the queries of a block to the rows of a leaf.
 *
 * Direct: differences in float64, all lanes against one row after the other (few columns, or values near the ends of the
 * range of float64, with `scale` a power of two applied to each difference, which is exact).
 *
 * Preselected (many columns): products in float32 between coordinates taken from the leaf's centre c in its unit,
 *     |x - y|^2 / 2 = |x|^2 / 2 - (x.y - |y|^2 / 2),
 * four queries against all rows. Rounding the coordinates, their products and the sum of d terms changes the bracket by at most
 * 2^-24 (d + 8) (|x| R + R^2), R the greatest |y| of the leaf (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
 * section 3.1); the float64 parts by (d + 4) 2^-52 of |x|^2 and of the limit; numbers below the float32 range by d 2^-120 at
 * most. Only rows that these margins cannot decide are looked at again, in float64 with direct differences.
 */
#ifndef FK_LEAF_H
#define FK_LEAF_H

#include "fk_build.h"

#define FK_TILE 4                    /* queries of one pass over the leaf */
#define FK_TILE_ROWS 32              /* rows of one pass: leaves for preselection hold a multiple of it */

/* Squared distances of FK_LANES points, with columns `step` apart, to one point, with columns `stride` apart. */
FK_INLINE void fk_direct(const double *x, ptrdiff_t step, const double *y, ptrdiff_t stride, ptrdiff_t d, double scale,
                         double *out) {
    double sum[FK_LANES] = {0.0};
    for (ptrdiff_t j = 0; j < d; j++) {
        double yj = y[j * stride];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double difference = (x[j * step + l] - yj) * scale;
            sum[l] += difference * difference;
        }
    }
    for (int l = 0; l < FK_LANES; l++) out[l] = sum[l];
}

/* Lists the lanes whose box distance to a node is within their limit; returns how many they are. */
FK_INLINE int fk_active(const fk_tree *tree, const fk_block *block, ptrdiff_t node, ptrdiff_t d, double scale,
                        const double *limit, int *lanes) {
    const double *low = tree->low + node * d, *high = tree->high + node * d;
    double sum[FK_LANES] = {0.0};
    int count = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *x = block->x + j * FK_LANES;
        double low_j = low[j], high_j = high[j];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double below = low_j - x[l], above = x[l] - high_j, gap = below > above ? below : above;
            gap = (gap > 0.0 ? gap : 0.0) * scale;
            sum[l] += gap * gap;
        }
    }
    for (int l = 0; l < FK_LANES; l++) {
        lanes[count] = l;
        count += !(sum[l] * FK_LESS > limit[l]);
    }
    return count;
}

/* The leaf's coordinates, feature-major: as packed, or gathered now where the tree keeps float32 ones only. */
FK_INLINE const double *fk_leaf_points(const fk_tree *tree, ptrdiff_t leaf, double *scratch) {
    ptrdiff_t size = tree->leaf, start = leaf * size, n = fk_positions_end(tree, leaf + 1) - start;
    if (tree->points) return tree->points + start * tree->d;
    for (ptrdiff_t j = 0; j < tree->d; j++)
        for (ptrdiff_t i = 0; i < size; i++)
            scratch[j * size + i] = i < n ? fk_coordinate(tree, tree->order[start + i], j) : NAN;
    return scratch;
}

/* The same squared distance for one pair, by rows. */
FK_INLINE double fk_exact(const fk_tree *tree, ptrdiff_t position, const double *x) {
    ptrdiff_t d = tree->d, at = tree->order[position] * d;
    double sum = 0.0;
    if (tree->rows64) {
        const double *y = tree->rows64 + at;
        FK_SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < d; j++) sum += (x[j] - y[j]) * (x[j] - y[j]);
    } else {
        const float *y = tree->rows32 + at;
        FK_SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < d; j++) sum += (x[j] - (double)y[j]) * (x[j] - (double)y[j]);
    }
    return sum;
}

/* The lanes seen from a leaf: coordinates from its centre in its unit, and their squared lengths. */
typedef struct {
    float *x;                        /* (d, FK_LANES) */
    double square[FK_LANES];
    double factor, largest;          /* the unit; R^2 */
} fk_view;

FK_INLINE void fk_view_leaf(const fk_tree *tree, const fk_block *block, fk_branch leaf, fk_view *view) {
    ptrdiff_t d = tree->d;
    const double *low = tree->low + leaf.node * d, *high = tree->high + leaf.node * d;
    double factor = fk_leaf_factor(low, high, d), square[FK_LANES] = {0.0};
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *x = block->x + j * FK_LANES;
        float *out = view->x + j * FK_LANES;
        double centre = 0.5 * low[j] + 0.5 * high[j];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double from_centre = (x[l] - centre) * factor;
            out[l] = (float)from_centre;
            square[l] += from_centre * from_centre;
        }
    }
    for (int l = 0; l < FK_LANES; l++) view->square[l] = square[l];
    view->factor = factor;
    view->largest = 2.0 * (double)tree->largest[leaf.first] * (1.0 + 0x1p-20);
}

/* Bracket below which the squared distance surely exceeds `limit` (side = 1), above which it surely does not (side = -1). */
FK_INLINE float fk_threshold(const fk_view *view, int lane, ptrdiff_t d, double limit, double side) {
    double square = view->square[lane], scaled = limit * view->factor * view->factor;
    if (!(square < 0x1p100) || !(scaled < 0x1p100)) return -INFINITY * (float)side;
    double margin = 0x1p-24 * (double)(d + 8) * (sqrt(square * view->largest) + view->largest) +
                    0x1p-52 * (double)(d + 4) * (square + scaled) + 0x1p-120 * (double)d;
    double middle = 0.5 * (square - scaled);
    double edge = middle - side * margin;
    return (float)(edge - side * fabs(edge) * 0x1p-23);
}

/* Brackets x.y - |y|^2 / 2 of four lanes with all rows of a leaf: out (FK_TILE, size). Bit c of passed[q] says that among the
 * rows of the c-th pass one is not below threshold[q]. A function of its own, so that all sums stay in registers. */
FK_CLONES static void fk_brackets(const float *x, const int *lanes, const float *y, const float *half_norm, ptrdiff_t size,
                                  ptrdiff_t d, const float *threshold, float *FK_RESTRICT out, uint32_t *passed) {
    for (int q = 0; q < FK_TILE; q++) passed[q] = 0;
    for (ptrdiff_t i0 = 0; i0 < size; i0 += FK_TILE_ROWS) {
        float sum[FK_TILE][FK_TILE_ROWS];
        for (int q = 0; q < FK_TILE; q++)
            for (int i = 0; i < FK_TILE_ROWS; i++) sum[q][i] = -half_norm[i0 + i];
        for (ptrdiff_t j = 0; j < d; j++) {
            const float *yj = y + j * size + i0;
            for (int q = 0; q < FK_TILE; q++) {
                float xj = x[j * FK_LANES + lanes[q]];
                FK_SIMD
                for (int i = 0; i < FK_TILE_ROWS; i++) sum[q][i] += xj * yj[i];
            }
        }
        for (int q = 0; q < FK_TILE; q++) {
            int32_t any = 0;
            FK_PRAGMA(omp simd reduction(| : any))
            for (int i = 0; i < FK_TILE_ROWS; i++) any |= !(sum[q][i] < threshold[q]);
            passed[q] |= (uint32_t)any << (i0 / FK_TILE_ROWS);
            for (int i = 0; i < FK_TILE_ROWS; i++) out[q * size + i0 + i] = sum[q][i];
        }
    }
}

#endif
