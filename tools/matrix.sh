#!/usr/bin/env bash
# The tests on every CPython from 3.11 that this machine has, each in a fresh environment: tools/matrix.sh [pytest arguments].
# PYTHONS="3.12 3.13" tools/matrix.sh runs those alone. The last line of each says how it ended.
# An interpreter is found as python3.N on the PATH or through pyenv. A Python for which a dependency has no wheel is named and left out.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=""
for version in ${PYTHONS:-3.11 3.12 3.13 3.14 3.14t}; do
    python=""
    for found in "$(command -v "python$version")" "$HOME/.pyenv/versions/${version%t}".*/bin/"python$version"; do
        # pyenv puts a stand-in on the PATH for versions that are not switched on: it exists, and does not run.
        if [ -x "$found" ] && "$found" --version >/dev/null 2>&1; then python=$found; fi
    done
    if [ -z "$python" ]; then
        echo "== $version: not on this machine"
        continue
    fi
    echo "== $version: $python"
    "$python" -m venv "$work/$version"
    git clone --quiet . "$work/clone-$version"
    ( . "$work/$version/bin/activate" && cd "$work/clone-$version" && pip install --quiet -e '.[test]' && pytest -q "$@" )
    ended=$?
    [ $ended -eq 0 ] && echo "== $version: passed" || { echo "== $version: FAILED ($ended)"; failed+=" $version"; }
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
