/* Distances from the queries of a block to the rows of a leaf.
 *
 * Direct: differences in float64, all lanes against one row after the other (few columns, or values near the ends of the
 * range of float64, with `scale` a power of two applied to each difference, which is exact).
 *
 * Preselected (many columns): products in float32 between coordinates taken from the leaf's centre c in its unit,
 *     |x - y|^2 / 2 = |x|^2 / 2 - (x.y - |y|^2 / 2),
 * eight queries against 32 rows in registers, one group of rows after the other, so that a group is read from memory once for all
 * queries of a block. Rounding the coordinates, their products and the sum of d terms changes the bracket by at most
 * 2^-24 (d + 8) (|x| R + R^2), R the greatest |y| of the leaf (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
 * section 3.1); the float64 parts by (d + 4) 2^-51 of |x|^2 and of the limit; numbers below the float32 range by d 2^-120 at
 * most. Only rows that these margins cannot decide are looked at again, in float64 with direct differences.
 */
#ifndef FK_LEAF_H
#define FK_LEAF_H

#include "fk_build.h"

#define FK_FEW 8                     /* with so many lanes left in a leaf, or less, each goes alone */
#define FK_TILE_QUERIES 8            /* queries of one pass over FK_TILE_ROWS rows of a leaf */
#define FK_PASSES 32                 /* passes over a leaf at most */

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

/* Lists the lanes whose distance to the box of a leaf is within their limit; returns how many they are. */
FK_INLINE int fk_active(const fk_tree *tree, const fk_block *block, ptrdiff_t leaf, ptrdiff_t d, double scale,
                        const double *limit, int *lanes) {
    const double *low = tree->low + leaf * d, *high = tree->high + leaf * d;
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
FK_INLINE double fk_exact(const fk_tree *tree, ptrdiff_t position, const double *x, ptrdiff_t d) {
    double sum = 0.0;
    if (tree->ordered64) {
        const double *y = tree->ordered64 + position * d;
        FK_SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < d; j++) sum += (x[j] - y[j]) * (x[j] - y[j]);
    } else {
        const float *y = tree->ordered32 + position * d;
        FK_SIMD_SUM(sum)
        for (ptrdiff_t j = 0; j < d; j++) sum += (x[j] - (double)y[j]) * (x[j] - (double)y[j]);
    }
    return sum;
}

/* The lanes seen from a leaf: coordinates from its centre in its unit, and what decides on a bracket. */
typedef struct {
    float *x;                        /* (d, FK_LANES) */
    double half[FK_LANES];           /* |x|^2 / 2 */
    double margin[FK_LANES];         /* by how much a bracket may be wrong */
    double unit;                     /* factor of squared distances */
} fk_view;

FK_INLINE void fk_view_leaf(const fk_tree *tree, const fk_block *block, ptrdiff_t leaf, ptrdiff_t d, fk_view *view) {
    const double *low = tree->low + leaf * d, *high = tree->high + leaf * d;
    double factor = tree->factor[leaf], largest = 2.0 * (double)tree->largest[leaf] * (1.0 + 0x1p-20);
    double square[FK_LANES] = {0.0};
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
    FK_SIMD
    for (int l = 0; l < FK_LANES; l++) {
        view->half[l] = 0.5 * square[l];
        view->margin[l] = 0x1p-24 * (double)(d + 8) * (sqrt(square[l] * largest) + largest) +
                          0x1p-51 * (double)(d + 4) * square[l] + 0x1p-120 * (double)d;
    }
    view->unit = factor * factor;
}

/* Brackets below which the squared distance surely exceeds the limit (side = 1), or above which it surely does not (-1). */
FK_INLINE void fk_thresholds(const fk_view *view, const double *limit, ptrdiff_t d, double side, float *out) {
    FK_SIMD
    for (int l = 0; l < FK_LANES; l++) {
        double half = 0.5 * limit[l] * view->unit;
        double edge = view->half[l] - half - side * (view->margin[l] + 0x1p-51 * (double)(d + 4) * half);
        edge -= side * (edge > 0.0 ? edge : -edge) * 0x1p-23;
        out[l] = view->half[l] < 0x1p100 && half < 0x1p100 ? (float)edge : -INFINITY * (float)side;
    }
}

/* Bit i of the result: bracket[i] is not below `least`. */
FK_INLINE uint32_t fk_passed(const float *bracket, float least) {
    uint32_t passed = 0;
    FK_PRAGMA(omp simd reduction(| : passed))
    for (int i = 0; i < FK_TILE_ROWS; i++) passed |= bracket[i] < least ? 0u : 1u << i;
    return passed;
}

/* Index of the lowest bit that is set (a de Bruijn sequence: no compiler has to know the instruction). */
FK_INLINE int fk_lowest_bit(uint32_t bits) {
    static const int8_t index[32] = {0, 1, 28, 2, 29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4, 8,
                                     31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6, 11, 5, 10, 9};
    return index[((bits & (0u - bits)) * 0x077cb531u) >> 27];
}

/* The listed lanes, ascending, to the front of each row of x (rows, FK_LANES); what is behind them stays as it is. */
FK_INLINE void fk_to_front(float *x, ptrdiff_t rows, int count, const int *lanes) {
    if (count == FK_LANES) return;
    for (ptrdiff_t j = 0; j < rows; j++)
        for (int c = 0; c < count; c++) x[j * FK_LANES + c] = x[j * FK_LANES + lanes[c]];
}

/* Brackets x.y - |y|^2 / 2 of a few neighbouring lanes with one group of rows. */
FK_INLINE void fk_tile(const float *x, int queries, const float *y, const float *half_norm, ptrdiff_t size, ptrdiff_t d,
                       const float *threshold, float *FK_RESTRICT out, uint32_t *FK_RESTRICT passed) {
    float sum[FK_TILE_QUERIES][FK_TILE_ROWS];
    for (int q = 0; q < queries; q++)
        for (int i = 0; i < FK_TILE_ROWS; i++) sum[q][i] = -half_norm[i];
    for (ptrdiff_t j = 0; j < d; j++) {
        const float *yj = y + j * FK_TILE_ROWS;
        for (int q = 0; q < queries; q++) {
            float xj = x[j * FK_LANES + q];
            FK_SIMD
            for (int i = 0; i < FK_TILE_ROWS; i++) sum[q][i] += xj * yj[i];
        }
    }
    for (int q = 0; q < queries; q++) {
        passed[q * FK_PASSES] = fk_passed(sum[q], threshold[q]);
        for (int i = 0; i < FK_TILE_ROWS; i++) out[q * size + i] = sum[q][i];
    }
}

/* Brackets of the first `count` lanes of x (d, FK_LANES) with all rows of a leaf: out (FK_LANES, size). Bit i of entry
 * (q, c) of `passed`, (FK_LANES, FK_PASSES), says that the i-th row of the c-th group is not below the lane's threshold. */
FK_INLINE void fk_brackets_of(const float *x, int count, const float *y, const float *half_norm, ptrdiff_t size, ptrdiff_t d,
                              const float *threshold, float *FK_RESTRICT out, uint32_t *FK_RESTRICT passed) {
    for (ptrdiff_t i = 0; i < size; i += FK_TILE_ROWS)
        for (int q = 0; q < count; q += FK_TILE_QUERIES) {
            uint32_t *bits = passed + q * FK_PASSES + i / FK_TILE_ROWS;
            float *to = out + q * size + i;
            if (count - q <= 2) fk_tile(x + q, 2, y + i * d, half_norm + i, size, d, threshold + q, to, bits);
            else if (count - q <= 4) fk_tile(x + q, 4, y + i * d, half_norm + i, size, d, threshold + q, to, bits);
            else fk_tile(x + q, FK_TILE_QUERIES, y + i * d, half_norm + i, size, d, threshold + q, to, bits);
        }
}

/* A function of its own, so that all sums stay in registers. */
FK_CLONES static void fk_brackets(const float *x, int count, const float *y, const float *half_norm, ptrdiff_t size, ptrdiff_t d,
                                  const float *threshold, float *FK_RESTRICT out, uint32_t *FK_RESTRICT passed) {
    if (d == 8) fk_brackets_of(x, count, y, half_norm, size, 8, threshold, out, passed);
    else if (d == 10) fk_brackets_of(x, count, y, half_norm, size, 10, threshold, out, passed);
    else fk_brackets_of(x, count, y, half_norm, size, d, threshold, out, passed);
}

#endif
