"""Command line: ``python -m fastkl demo`` shows the library at work on real data, ``info`` says what this installation can do."""

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Sequence

from fastkl import __version__
from fastkl._core._threads import build_info


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 for success and 2 for an error in its arguments."""
    parser = argparse.ArgumentParser(prog="fastkl", description="Maximum-likelihood densities and KL divergences.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,info}")
    demo = commands.add_parser("demo", help="fit, score and compare on a table that ships with scikit-learn")
    demo.add_argument("--figure", default="fastkl_demo.png", help="where to write the figure (needs matplotlib)")
    demo.add_argument("--rows", type=int, default=1_000_000, help="rows for the timing of batch scoring")
    commands.add_parser("info", help="versions, threads and instruction set")
    options = parser.parse_args(arguments)
    if options.command == "info":
        print(info_text())
        return 0
    from fastkl.demo import run  # it imports much of scikit-learn, which `info` does not need

    if options.rows < 1:
        parser.error(f"argument --rows: at least 1, not {options.rows}")
    run(figure=options.figure, n_rows=options.rows)
    return 0


def info_text() -> str:
    """Versions, threads, OpenMP and the instruction set in use, one line each."""
    info = build_info()
    lines = [
        ("fastkl", __version__),
        ("python", platform.python_version()),
        *(
            (name, importlib.metadata.version(name))
            for name in ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")
        ),
        ("platform", f"{platform.system()} {platform.machine()}"),
        ("OpenMP", "yes" if info["openmp"] else "no: everything runs on one thread"),
        ("threads", str(info["threads"])),
        (
            "instruction set",
            f"{info['instruction_set']} ({'chosen at run time' if info['runtime_dispatch'] else 'fixed at build time'})",
        ),
        ("rows of a block", str(info["block_rows"])),
    ]
    return "\n".join(f"{name:<16} {value}" for name, value in lines)


if __name__ == "__main__":
    sys.exit(main())
