/* Building the tree: rows are halved at the median of the widest column until a leaf is full, then packed for the searches.
 *
 * Which column is widest is read off at most FK_SPREAD rows of the node: it steers the speed, never the result. The median is
 * found by selection on (key, row) pairs, with a pivot from a sample that lies just beyond the wanted rank. Nothing depends on
 * chance or on the number of threads.
 */
#ifndef FK_BUILD_H
#define FK_BUILD_H

#include "fk_tree.h"

#define FK_SPREAD 32
#define FK_SAMPLE 63

/* Least non-zero and greatest absolute value; nan for both when a value is not finite. */
#define FK_MAGNITUDES(NAME, TYPE)                                                                                          \
    FK_CLONES static void NAME(const TYPE *x, ptrdiff_t n, double *least, double *most) {                                  \
        TYPE low = INFINITY, high = 0, zero = 0;                                                                           \
        FK_PRAGMA(omp simd reduction(min : low) reduction(max : high) reduction(+ : zero))                                 \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                                \
            TYPE size = x[i] < 0 ? -x[i] : x[i], shown = x[i] == 0 ? (TYPE)INFINITY : size;                                \
            low = shown < low ? shown : low;                                                                               \
            high = size > high ? size : high;                                                                              \
            zero += x[i] * 0;                                                                                              \
        }                                                                                                                  \
        *least = zero == 0 ? (double)low : NAN;                                                                            \
        *most = zero == 0 ? (double)high : NAN;                                                                            \
    }

FK_MAGNITUDES(fk_magnitudes_64, double)
FK_MAGNITUDES(fk_magnitudes_32, float)

FK_INLINE void fk_sort_few(double *key, int32_t *row, ptrdiff_t n) {
    for (ptrdiff_t i = 1; i < n; i++) {
        double k = key[i];
        int32_t r = row[i];
        ptrdiff_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) {
            key[j] = key[j - 1];
            row[j] = row[j - 1];
        }
        key[j] = k;
        row[j] = r;
    }
}

/* A value of key[0..n) whose rank is near `rank`, on the side that leaves the larger part behind. */
static double fk_pivot(const double *key, ptrdiff_t n, ptrdiff_t rank) {
    double sample[FK_SAMPLE];
    int size = n > 8192 ? FK_SAMPLE : n > 512 ? 21 : 7;
    for (int i = 0; i < size; i++) {
        double k = key[(2 * i + 1) * n / (2 * size)];
        int j = i;
        for (; j > 0 && sample[j - 1] > k; j--) sample[j] = sample[j - 1];
        sample[j] = k;
    }
    double share = (double)rank / (double)n;
    int beyond = size > 21 ? 5 : size > 7 ? 2 : 1;
    int at = (int)(share * size) + (share <= 0.5 ? beyond : -beyond);
    return sample[at < 0 ? 0 : at >= size ? size - 1 : at];
}

/* Moves the pairs with key < pivot (or <= pivot) to the front and returns how many they are; no branch on the keys. */
FK_INLINE ptrdiff_t fk_partition(double *key, int32_t *row, ptrdiff_t n, double pivot, int or_equal) {
    ptrdiff_t m = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double k = key[i];
        int32_t r = row[i];
        key[i] = key[m];
        row[i] = row[m];
        key[m] = k;
        row[m] = r;
        m += or_equal ? k <= pivot : k < pivot;
    }
    return m;
}

/* Puts the `rank` smallest keys to the front, in any order. */
static void fk_select(double *key, int32_t *row, ptrdiff_t n, ptrdiff_t rank) {
    while (n > 24) {
        double pivot = fk_pivot(key, n, rank);
        ptrdiff_t m = fk_partition(key, row, n, pivot, 0);
        if (m == 0) {                /* the pivot is the smallest: its equals go together, so that ties end the search */
            m = fk_partition(key, row, n, pivot, 1);
            if (rank <= m) return;
        } else if (rank < m) {
            n = m;
            continue;
        } else if (rank == m) {
            return;
        }
        key += m, row += m, n -= m, rank -= m;
    }
    fk_sort_few(key, row, n);
}

static ptrdiff_t fk_widest(const fk_tree *tree, ptrdiff_t start, ptrdiff_t end) {
    ptrdiff_t n = end - start, count = n < FK_SPREAD ? n : FK_SPREAD, widest = 0;
    double width = -1.0;
    const int32_t *order = tree->order + start;
    for (ptrdiff_t j = 0; j < tree->d; j++) {
        double low = INFINITY, high = -INFINITY;
        for (ptrdiff_t i = 0; i < count; i++) {
            double x = fk_coordinate(tree, order[i * n / count], j);
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
        if (high * 0.5 - low * 0.5 > width) {
            width = high * 0.5 - low * 0.5;
            widest = j;
        }
    }
    return widest;
}

/* Unit of a leaf: the power of two that brings its half width near 1, and its inverse as the factor to apply. */
FK_INLINE double fk_leaf_factor(const double *low, const double *high, ptrdiff_t d) {
    double width = 0.0;
    int exponent = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        double half = 0.5 * high[j] - 0.5 * low[j];
        width = half > width ? half : width;
    }
    if (width > 0.0) frexp(width, &exponent);
    return ldexp(1.0, exponent < -900 ? 900 : -exponent);
}

static void fk_pack_leaf(fk_tree *tree, fk_branch b) {
    ptrdiff_t d = tree->d, size = tree->leaf, start = b.first * size, n = fk_positions_end(tree, b.last) - start;
    double *low = tree->low + b.node * d, *high = tree->high + b.node * d;
    const int32_t *order = tree->order + start;
    for (ptrdiff_t j = 0; j < d; j++) {
        double least = INFINITY, most = -INFINITY;
        for (ptrdiff_t i = 0; i < n; i++) {
            double x = fk_coordinate(tree, order[i], j);
            least = x < least ? x : least;
            most = x > most ? x : most;
            if (tree->points) tree->points[start * d + j * size + i] = x;
        }
        for (ptrdiff_t i = n; i < size && tree->points; i++) tree->points[start * d + j * size + i] = NAN;
        low[j] = least;
        high[j] = most;
    }
    if (!tree->near_points) return;
    double factor = fk_leaf_factor(low, high, d);
    float largest = 0.0f;
    for (ptrdiff_t i = 0; i < size; i++) {
        double square = 0.0;
        for (ptrdiff_t j = 0; j < d; j++) {
            double x = i < n ? (fk_coordinate(tree, order[i], j) - (0.5 * low[j] + 0.5 * high[j])) * factor : 0.0;
            tree->near_points[start * d + j * size + i] = (float)x;
            square += x * x;
        }
        tree->half_norm[start + i] = i < n ? (float)(0.5 * square) : INFINITY;
        largest = i < n && (float)(0.5 * square) > largest ? (float)(0.5 * square) : largest;
    }
    tree->largest[b.first] = largest;
}

static void fk_join_boxes(fk_tree *tree, fk_branch b) {
    ptrdiff_t d = tree->d, left = fk_left(b).node, right = fk_right(b).node;
    for (ptrdiff_t j = 0; j < d; j++) {
        double low = tree->low[left * d + j], high = tree->high[left * d + j];
        double other_low = tree->low[right * d + j], other_high = tree->high[right * d + j];
        tree->low[b.node * d + j] = other_low < low ? other_low : low;
        tree->high[b.node * d + j] = other_high > high ? other_high : high;
    }
}

static void fk_split(fk_tree *tree, double *keys, fk_branch b) {
    ptrdiff_t start = b.first * tree->leaf, end = fk_positions_end(tree, b.last), column = fk_widest(tree, start, end);
    for (ptrdiff_t i = start; i < end; i++) keys[i] = fk_coordinate(tree, tree->order[i], column);
    fk_select(keys + start, tree->order + start, end - start, fk_middle(b) * tree->leaf - start);
}

static void fk_build_branch(fk_tree *tree, double *keys, fk_branch b) {
    if (b.last - b.first == 1) {
        fk_pack_leaf(tree, b);
        return;
    }
    fk_split(tree, keys, b);
    fk_build_branch(tree, keys, fk_left(b));
    fk_build_branch(tree, keys, fk_right(b));
    fk_join_boxes(tree, b);
}

/* The top of the tree, down to `levels` below the root: its branches are then built by threads, each on its own. */
static ptrdiff_t fk_split_top(fk_tree *tree, double *keys, fk_branch b, int levels, fk_branch *branches) {
    if (levels == 0 || b.last - b.first == 1) {
        branches[0] = b;
        return 1;
    }
    fk_split(tree, keys, b);
    ptrdiff_t n = fk_split_top(tree, keys, fk_left(b), levels - 1, branches);
    return n + fk_split_top(tree, keys, fk_right(b), levels - 1, branches + n);
}

static void fk_join_top(fk_tree *tree, fk_branch b, int levels) {
    if (levels == 0 || b.last - b.first == 1) return;
    fk_join_top(tree, fk_left(b), levels - 1);
    fk_join_top(tree, fk_right(b), levels - 1);
    fk_join_boxes(tree, b);
}

#endif
