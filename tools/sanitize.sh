#!/usr/bin/env bash
# Kernels under sanitizers: tools/sanitize.sh address|thread [pytest arguments].
# A clone is compiled with AddressSanitizer and UndefinedBehaviorSanitizer, or with ThreadSanitizer, and runs the tests of the kernels,
# hostile calls and edited files. Any report ends the run. ThreadSanitizer does not know OpenMP's barriers, so that build does without
# and its threads are Python's. It takes GCC with its sanitizers, the `test` extra, and some minutes for the build.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-address}
shift || true
case $kind in
    address) flags=address,undefined library=libasan.so openmp=1 ;;
    thread) flags=thread library=libtsan.so openmp=0 ;;
    *) echo "tools/sanitize.sh address|thread [pytest arguments]"; exit 2 ;;
esac
work=${FASTKL_SANITIZED:-$(mktemp -d)}
echo "== built in $work"
[ -d "$work/fastkl" ] || git clone --quiet . "$work"
cd "$work"
sed -i 's/__GNUC__ >= 12$/0/' fastkl/_core/fk_config.h # one instruction set: resolvers of functions run before a sanitizer does
FASTKL_SANITIZE=$flags FASTKL_OPENMP=$openmp CC=gcc python setup.py --quiet build_ext --inplace
# the C++ library comes along: a sanitizer that is loaded before it can't pass on the exceptions that scipy's C++ throws
export LD_PRELOAD="$(gcc -print-file-name=$library) $(gcc -print-file-name=libstdc++.so)"
export PYTHONMALLOC=malloc PYTHONPATH=. OMP_NUM_THREADS=2
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:report_signal_unsafe=0:ignore_noninstrumented_modules=1
if [ "$kind" = thread ]; then
    tests=(tests/hostile/test_threads.py)
else
    # but for a test whose last digits need sums in several lanes, which -O1 makes one after another
    tests=(--deselect tests/core/test_means.py::test_equal_weights_are_none)
    tests+=(tests/core tests/spatial tests/families/test_univariate_families.py tests/families/test_joint.py tests/rows tests/hostile)
fi
[ $# -gt 0 ] && tests=("$@")
python -m pytest -q -n 0 -p no:cacheprovider "${tests[@]}"
