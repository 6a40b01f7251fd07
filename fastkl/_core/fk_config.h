/* Everything that depends on the compiler, and the block length: no other file of the library has an #ifdef for either.
 *
 * FK_CLONES   compiles a function once per instruction set; the loader picks the widest the processor has. It needs GNU
 *             indirect functions, hence x86-64 glibc only; elsewhere the macro is empty and the plain function is used.
 *             Such a function must keep its loops in its own body or in FK_INLINE functions.
 * FK_CLONES_256 the same without 512-bit registers, for loops that they make slower (distances in few columns, by up to a fifth).
 * FK_INLINE   for functions called from a cloned loop: they must be inlined to be compiled for the clone's registers.
 * FK_PREFETCH a hint that the cache line will soon be read; addresses that don't exist do no harm.
 * FK_SIMD     licence to reorder one named reduction, given loop by loop (never -ffast-math).
 */
#ifndef FK_CONFIG_H
#define FK_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define FK_BLOCK 4096           /* rows of a block: results depend on it, and on nothing else that is chosen for speed */
/* Values of a whole number of vectors, whatever these hold. A compiler may fuse products with sums in one way in vectors and in
 * another in the values that are left over, whose last digit would then depend on how many there are: a map takes these as a
 * whole number of vectors too. */
#define FK_WHOLE 32
#define FK_WAVE_NUMBERS 2097152 /* partial results that wait to be merged: 16 MB, or two of each thread if these are more */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FK_CLONES_256 __attribute__((target_clones("arch=x86-64-v3", "default")))
#define FK_HAS_CLONES 1
#else
#define FK_CLONES
#define FK_CLONES_256
#define FK_HAS_CLONES 0
#endif

#if defined(_MSC_VER)
#define FK_INLINE static __forceinline
#define FK_RESTRICT __restrict
#define FK_PRAGMA(text)
#define FK_PREFETCH(address) ((void)(address))
#else
#define FK_INLINE static inline __attribute__((always_inline))
#define FK_RESTRICT restrict
#define FK_PRAGMA(text) _Pragma(#text)
#define FK_PREFETCH(address) __builtin_prefetch(address)
#endif

#define FK_SIMD FK_PRAGMA(omp simd)
#define FK_SIMD_SUM(...) FK_PRAGMA(omp simd reduction(+ : __VA_ARGS__))

#if defined(_OPENMP)
#include <omp.h>
#define FK_HAS_OPENMP 1
#else
#define FK_HAS_OPENMP 0
static inline int omp_get_max_threads(void) { return 1; }
static inline int omp_get_thread_num(void) { return 0; }
#endif

/* The instruction set the clones run on: 0 the compiler's base line, 3 and 4 the x86-64 levels of the same number. */
static inline int fk_instruction_level(void) {
#if FK_HAS_CLONES
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
#endif
    return 0;
}

#endif
