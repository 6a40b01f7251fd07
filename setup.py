"""Build of the compiled modules; all metadata is in pyproject.toml.

Every ``.pyx`` below ``fastkl`` is one extension module. Environment switches:

``FASTKL_OPENMP``  ``probe`` (default) uses OpenMP where a shared object links with it, ``1`` insists, ``0`` builds without.
``FASTKL_DEBUG``   ``1`` turns bounds checks on and keeps the symbols, with few optimisations: a quick build.
``FASTKL_SANITIZE`` sanitizers of GCC, such as ``address,undefined``: with the names of symbols; see tools/sanitize.sh.

No ``-ffast-math`` (it changes the floating-point mode of the whole process on some compilers) and no ``-march=native``
(the wheel must run elsewhere): loops that profit from wide registers are cloned per instruction set in ``fk_config.h``.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import Cython
import setuptools
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

if int(setuptools.__version__.split(".")[0]) < 80:
    raise SystemExit(
        f"Building fastkl takes setuptools 80 or later; this environment has {setuptools.__version__}. "
        "Upgrade it: pip install 'setuptools>=80'"
    )

ROOT = Path(__file__).parent
OPENMP = os.environ.get("FASTKL_OPENMP", "probe")
DEBUG = os.environ.get("FASTKL_DEBUG", "0") == "1"
SANITIZE = os.environ.get("FASTKL_SANITIZE", "")

GENERATED = "build/generated"
SHARED = "fastkl._core._memoryviews"  # what Cython would otherwise put into every module that takes arrays
INCLUDE = re.compile(r'''^\s*(?:#\s*include|cdef extern from)\s+"([^"]+)"''', re.MULTILINE)
CIMPORT = re.compile(r"^\s*(?:from\s+|cimport\s+)(fastkl[\w.]+)(?:\s+cimport\b|\s*$)", re.MULTILINE)

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "freethreading_compatible": True,
}

# The loops over rows need the vectorizer with its full cost model, and that is all of -O3 most of them gain by; what else it
# does (peeled, unswitched and unrolled copies, times three instruction sets) makes the objects and the build half as large
# again. The modules named here have short inner loops of fixed length, which are 10 to 50 % faster unrolled.
VECTORIZED = ["-O2", "-ftree-vectorize"]
WHERE_KNOWN = ["-fvect-cost-model=dynamic", "-mprefer-vector-width=512", "-fopenmp-simd"]
# Without symbols, and without the pages that part code from what is only read: of the small modules these are a sixth.
SMALL = ["-Wl,--strip-all", "-Wl,-z,noseparate-code"]
UNROLLED = {"fastkl._core._linalg", "fastkl.spatial._balls", "fastkl.spatial._kernel_sums", "fastkl.spatial._tree"}

OPENMP_PROBE = "#include <omp.h>\nint fastkl_openmp_probe(void) { return omp_get_max_threads(); }\n"


class BuildExt(build_ext):
    """Compiler flags per compiler family, and OpenMP only where it truly links."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            compile_args, stripped, candidates = ["/O2"], [], [(["/openmp"], [])]
        else:
            # 512-bit registers only concern clones whose instruction set has them; elsewhere the flag is without effect.
            # No symbols for a debugger (-g0 comes after Python's own -g): they were nine tenths of the installed size.
            compile_args = [
                *(["-O1"] if DEBUG else VECTORIZED),
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fvisibility=hidden",
            ]
            compile_args += [] if DEBUG else ["-g0"]
            compile_args += [flag for flag in WHERE_KNOWN if self._compiles([flag])]
            stripped = [] if DEBUG else [flag for flag in SMALL if self._compiles([], link=[flag])]
            candidates = [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])]
        if SANITIZE:
            checked = [f"-fsanitize={SANITIZE}"]
            compile_args = ["-O1", "-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", *checked]
            stripped = checked
        openmp = self._find_openmp(candidates)
        unrolled = [] if DEBUG or SANITIZE or self.compiler.compiler_type == "msvc" else ["-O3"]
        for extension in self.extensions:
            extension.extra_compile_args = compile_args + openmp[0] + (unrolled if extension.name in UNROLLED else [])
            extension.extra_link_args = openmp[1] + stripped
        # One compiler process for each core: the modules are independent of each other.
        self.parallel = self.parallel or os.cpu_count()
        arguments = [(extension.extra_compile_args, extension.extra_link_args) for extension in self.extensions]
        flags = repr((Cython.__version__, self.compiler.compiler_so, arguments))
        stamp = ROOT / "build" / f"flags.{self.plat_name}-{sys.implementation.cache_tag}"
        self.same_flags = stamp.exists() and stamp.read_text() == flags
        if self._is_kept():
            self.force = self.force or not self.same_flags
            stamp.unlink(missing_ok=True)  # of a build that is not whole
        super().build_extensions()
        if self._is_kept():
            stamp.write_text(flags)

    def build_extension(self, ext):
        """Compile a module; or copy it, where ``pip install .`` has left it in this folder and nothing has changed since.

        An editable install is built in a folder of its own, so that all would be compiled once more after the plain one.
        """
        from setuptools.modified import newer_group  # which a setuptools too old for the check above does not have

        made, target = self._kept() / self.get_ext_filename(ext.name), Path(self.get_ext_fullpath(ext.name))
        # our own files: those that Cython writes are new in every environment, since its own are
        source = ROOT / f"{ext.name.replace('.', '/')}.pyx"
        files = [*([str(source)] if source.exists() else []), *ext.depends]
        kept = self.same_flags and not self.force and not self._is_kept() and made.exists()
        if kept and not newer_group(files, made):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(made), str(target))
        else:
            super().build_extension(ext)

    def _kept(self):
        """Where a build leaves its modules, unless it is told otherwise."""
        return ROOT / "build" / f"lib.{self.plat_name}-{sys.implementation.cache_tag}"

    def _is_kept(self):
        return Path(self.build_lib).resolve() == self._kept().resolve()

    def _compiles(self, flags, source="int fastkl_probe(void) { return 0; }\n", link=None):
        """Whether a shared object can be compiled, and linked when ``link`` is given, with these flags."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.c"
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=flags)
                if link is not None:
                    self.compiler.link_shared_object(objects, str(Path(folder) / "probe.so"), extra_postargs=link)
            except (CompileError, LinkError):
                return False
        return True

    def _find_openmp(self, candidates):
        if OPENMP == "0":
            print("fastkl: built without OpenMP, as asked for by FASTKL_OPENMP=0")
            return [], []
        for compile_args, link_args in candidates:
            if self._compiles(compile_args, OPENMP_PROBE, link_args):
                print(f"fastkl: OpenMP with {' '.join(compile_args)}")
                return compile_args, link_args
        if OPENMP == "1":
            raise SystemExit("fastkl: FASTKL_OPENMP=1, but no shared object links with OpenMP on this machine.")
        print("fastkl: no OpenMP on this machine; everything works, on one thread")
        return [], []


def write_family_table():
    """List the univariate kernels ``families/<name>.h`` in one header: a new family needs no edit elsewhere."""
    names = sorted(path.stem for path in (ROOT / "fastkl/families").glob("*.h") if not path.stem.startswith("fk_"))
    lines = [f'#include "{name}.h"' for name in names]
    lines += ["static const fk_column_kernel *fk_families[] = {"]
    lines += [f"    &fk_kernel_{name}," for name in names]
    lines += ["};", f"#define FK_N_FAMILIES {len(names)}", ""]
    table = ROOT / GENERATED / "fk_family_table.h"
    table.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines)
    if not table.exists() or table.read_text() != text:
        table.write_text(text)


def dependencies(source, folders):
    """All files that a source includes or cimports, through others as well; headers are looked for in ``folders``."""
    found, waiting = set(), [source, source.with_suffix(".pxd")]
    while waiting:
        path = waiting.pop()
        if not path.exists():
            continue
        text = path.read_text()
        found.add(path)
        headers = (folder / name for name in INCLUDE.findall(text) for folder in folders)
        definitions = (ROOT / f"{name.replace('.', '/')}.pxd" for name in CIMPORT.findall(text))
        waiting += [other for other in (*headers, *definitions) if other not in found]
    return sorted(str(path.relative_to(ROOT)) for path in found - {source})


def extension(source):
    """The extension of one Cython source, which is built anew when it or what it includes has changed, and not otherwise."""
    folders = [ROOT / "fastkl/_core", ROOT / "fastkl/_core/special", source.parent, ROOT / GENERATED]
    return Extension(
        ".".join(source.relative_to(ROOT).with_suffix("").parts),
        [str(source.relative_to(ROOT))],
        include_dirs=[str(folder.relative_to(ROOT)) for folder in folders],
        depends=dependencies(source, folders),
    )


def extensions():
    """One extension for each Cython source."""
    write_family_table()
    shared = Extension(SHARED, [f"{SHARED.replace('.', '/')}.c"])
    return [shared, *(extension(source) for source in sorted((ROOT / "fastkl").rglob("*.pyx")))]


if __name__ == "__main__":  # the processes of cythonize import this file where they are not forked
    setup(
        ext_modules=cythonize(
            extensions(),
            compiler_directives=DIRECTIVES,
            build_dir="build/cython-debug" if DEBUG else "build/cython",
            shared_utility_qualified_name=SHARED,
            nthreads=os.cpu_count() or 1,
        ),
        cmdclass={"build_ext": BuildExt},
    )
