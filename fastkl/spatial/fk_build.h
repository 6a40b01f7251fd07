/* Building the tree: rows are halved at the median of the widest column, three times for each node, until they fit a leaf, and
 * within the leaf until they fit a block of queries; then the leaf is packed for the searches.
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

/* The rows of a leaf by position, its box, and its coordinates from the centre of the box in the leaf's unit. */
FK_CLONES static void fk_pack_near(fk_tree *tree, ptrdiff_t leaf) {
    ptrdiff_t d = tree->d, size = tree->leaf, start = leaf * size, n = fk_positions_end(tree, leaf + 1) - start;
    double *low = tree->low + leaf * d, *high = tree->high + leaf * d, largest = 0.0;
    float *points = tree->near_points + start * d;
    for (ptrdiff_t j = 0; j < d; j++) low[j] = INFINITY, high[j] = -INFINITY;
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t row = tree->order[start + i], to = (start + i) * d;
        if (tree->rows64) memcpy(tree->ordered64 + to, tree->rows64 + row * d, (size_t)d * sizeof(double));
        else memcpy(tree->ordered32 + to, tree->rows32 + row * d, (size_t)d * sizeof(float));
        FK_SIMD
        for (ptrdiff_t j = 0; j < d; j++) {
            double x = tree->rows64 ? tree->rows64[row * d + j] : (double)tree->rows32[row * d + j];
            low[j] = x < low[j] ? x : low[j];
            high[j] = x > high[j] ? x : high[j];
        }
    }
    double factor = fk_leaf_factor(low, high, d);
    for (ptrdiff_t i0 = 0; i0 < size; i0 += FK_LANES) {
        double square[FK_LANES] = {0.0};
        float *tile = points + i0 / FK_TILE_ROWS * FK_TILE_ROWS * d + i0 % FK_TILE_ROWS;
        for (ptrdiff_t j = 0; j < d; j++) {
            double x[FK_LANES], centre = 0.5 * low[j] + 0.5 * high[j];
            for (ptrdiff_t l = 0; l < FK_LANES; l++) {
                ptrdiff_t i = i0 + l < n ? i0 + l : n - 1, at = (start + i) * d + j;
                x[l] = tree->rows64 ? tree->ordered64[at] : (double)tree->ordered32[at];
            }
            FK_SIMD
            for (ptrdiff_t l = 0; l < FK_LANES; l++) {
                double from_centre = (x[l] - centre) * factor;
                tile[j * FK_TILE_ROWS + l] = (float)from_centre;
                square[l] += from_centre * from_centre;
            }
        }
        for (ptrdiff_t l = 0; l < FK_LANES; l++) {
            float half = (float)(0.5 * square[l]);
            tree->half_norm[start + i0 + l] = i0 + l < n ? half : INFINITY;
            largest = half > largest ? half : largest;
        }
    }
    tree->largest[leaf] = (float)largest;
    tree->factor[leaf] = factor;
}

static void fk_pack_leaf(fk_tree *tree, ptrdiff_t leaf) {
    if (tree->near_points) {
        fk_pack_near(tree, leaf);
        return;
    }
    ptrdiff_t d = tree->d, size = tree->leaf, start = leaf * size, n = fk_positions_end(tree, leaf + 1) - start;
    double *low = tree->low + leaf * d, *high = tree->high + leaf * d;
    const int32_t *order = tree->order + start;
    for (ptrdiff_t j = 0; j < d; j++) {
        double least = INFINITY, most = -INFINITY;
        for (ptrdiff_t i = 0; i < n; i++) {
            double x = fk_coordinate(tree, order[i], j);
            least = x < least ? x : least;
            most = x > most ? x : most;
            tree->points[start * d + j * size + i] = x;
        }
        for (ptrdiff_t i = n; i < size; i++) tree->points[start * d + j * size + i] = NAN;
        low[j] = least;
        high[j] = most;
    }
}

/* Puts the rows of the positions [start, middle) before those of [middle, end) along the widest column. */
static void fk_split(fk_tree *tree, double *keys, ptrdiff_t start, ptrdiff_t middle, ptrdiff_t end) {
    ptrdiff_t column = fk_widest(tree, start, end);
    for (ptrdiff_t i = start; i < end; i++) keys[i] = fk_coordinate(tree, tree->order[i], column);
    fk_select(keys + start, tree->order + start, end - start, middle - start);
}

/* Rows that will walk together should lie together. */
static void fk_order_leaf(fk_tree *tree, double *keys, ptrdiff_t start, ptrdiff_t end) {
    ptrdiff_t blocks = (end - start + FK_LANES - 1) / FK_LANES, middle = start + (blocks + 1) / 2 * FK_LANES;
    if (blocks <= 1) return;
    fk_split(tree, keys, start, middle, end);
    fk_order_leaf(tree, keys, start, middle);
    fk_order_leaf(tree, keys, middle, end);
}

static ptrdiff_t fk_count_nodes(ptrdiff_t n_leaves) {
    ptrdiff_t count = n_leaves > 1;
    for (ptrdiff_t i = 0; i < FK_CHILDREN && n_leaves > 1; i++)
        count += fk_count_nodes(n_leaves * (i + 1) / FK_CHILDREN - n_leaves * i / FK_CHILDREN);
    return count;
}

/* Shares the leaves [first, last) and their rows among the children of a node. */
static void fk_share(fk_tree *tree, double *keys, ptrdiff_t node, ptrdiff_t first, ptrdiff_t last) {
    int32_t *edge = tree->first + node * (FK_CHILDREN + 1), *child = tree->child + node * FK_CHILDREN;
    ptrdiff_t next = node + 1, n = last - first;
    for (ptrdiff_t i = 0; i <= FK_CHILDREN; i++) edge[i] = (int32_t)(first + n * i / FK_CHILDREN);
    for (ptrdiff_t i = 0; i < FK_CHILDREN; i++) {
        child[i] = (int32_t)next;
        next += fk_count_nodes(edge[i + 1] - edge[i]);
    }
    for (int step = FK_CHILDREN / 2; step > 0; step /= 2)
        for (int i = 0; i < FK_CHILDREN; i += 2 * step)
            if (edge[i] < edge[i + step] && edge[i + step] < edge[i + 2 * step])
                fk_split(tree, keys, edge[i] * tree->leaf, edge[i + step] * tree->leaf,
                         fk_positions_end(tree, edge[i + 2 * step]));
}

/* Builds the i-th child of a node and sets its box. */
static void fk_build_child(fk_tree *tree, double *keys, ptrdiff_t node, int i) {
    ptrdiff_t d = tree->d, first = tree->first[node * (FK_CHILDREN + 1) + i];
    ptrdiff_t last = tree->first[node * (FK_CHILDREN + 1) + i + 1], below = tree->child[node * FK_CHILDREN + i];
    double *low = tree->boxes + node * 2 * d * FK_CHILDREN + i, *high = low + d * FK_CHILDREN;
    if (last - first == 1) {
        fk_order_leaf(tree, keys, first * tree->leaf, fk_positions_end(tree, last));
        fk_pack_leaf(tree, first);
    } else if (last > first) {
        fk_share(tree, keys, below, first, last);
        for (int c = 0; c < FK_CHILDREN; c++) fk_build_child(tree, keys, below, c);
    }
    for (ptrdiff_t j = 0; j < d; j++) {
        double least = INFINITY, most = -INFINITY;
        if (last - first == 1) {
            least = tree->low[first * d + j];
            most = tree->high[first * d + j];
        } else if (last > first) {
            const double *lows = tree->boxes + (below * 2 * d + j) * FK_CHILDREN, *highs = lows + d * FK_CHILDREN;
            for (int c = 0; c < FK_CHILDREN; c++) {
                least = lows[c] < least ? lows[c] : least;
                most = highs[c] > most ? highs[c] : most;
            }
        }
        low[j * FK_CHILDREN] = least;
        high[j * FK_CHILDREN] = most;
    }
}

#endif
