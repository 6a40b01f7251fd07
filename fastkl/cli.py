"""Command line: ``fit``, ``score`` and ``kl`` work on files of rows, ``show`` and ``sample`` on saved densities, ``plot`` on
both; ``demo`` shows the library, ``info`` what is installed.

Whatever is wrong with what the user gave is one line on stderr and exit status 2; an interrupt is status 130.
"""

import argparse
import codecs
import importlib.metadata
import io
import json
import os
import platform
import sys
from collections.abc import Sequence
from typing import NoReturn

from fastkl import __version__
from fastkl._core._threads import build_info

FILES = "CSV, Parquet or NPY file, folder of Parquet files, pattern in quotes, or - for standard input"


class Parser(argparse.ArgumentParser):
    """One line for a wrong argument, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say it and leave with status 2."""
        self.exit(2, f"fastkl: {' '.join(message.split())} (see: {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 for success, 2 for an error in what was given, 130 for an interrupt."""
    codecs.register_error("fastkl", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="fastkl")
    options = parser().parse_args(arguments)
    try:
        status = _run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:
        # the reader of a pipe has seen enough; what is left in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        from fastkl.commands.standard_input import shown

        _complain(shown(_one_line(error)))
        return 2


def _run(options: argparse.Namespace) -> int:
    # each command imports what it needs, so that `info` is quick
    if options.command == "info":
        print(json.dumps(info_facts(), indent=2) if options.json else info_text())
        return 0
    from fastkl._core.warned import warnings_kept
    from fastkl.commands.layout import remark
    from fastkl.commands.standard_input import kept

    with kept(options), warnings_kept(UserWarning) as said:
        try:
            return _run_on_files(options)
        finally:
            for text in dict.fromkeys(map(str, said)):
                remark(" ".join(text.split()))


def _run_on_files(options: argparse.Namespace) -> int:
    if options.command == "fit":
        from fastkl.commands import fit

        return fit.run(options)
    if options.command == "score":
        from fastkl.commands import score

        return score.run(options)
    if options.command in ("show", "sample"):
        from fastkl.commands import model

        return model.show(options) if options.command == "show" else model.sample(options)
    if options.command == "kl":
        from fastkl.commands import kl

        return kl.run(options)
    if options.command == "demo":
        if options.rows < 1:
            raise ValueError(f"argument --rows: at least 1, not {options.rows}")
        from fastkl.demo import run

        run(figure=options.figure, n_rows=options.rows, seed=options.seed)
        return 0
    from fastkl.commands import plot

    return plot.run(options)


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(
        prog="fastkl",
        description="Maximum-likelihood densities and KL divergences of the rows of a file. All numbers are in nats.",
        epilog="Example:\n  fastkl fit data.csv -o model && fastkl score model new.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"fastkl {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="{fit,score,show,sample,kl,plot,demo,info}")
    _add_fit(commands)
    _add_score(commands)
    _add_models(commands)
    _add_kl(commands)
    _add_plot(commands)
    demo = _command(commands, "demo", "fit, score and compare on a table that ships with scikit-learn", "fastkl demo")
    demo.add_argument(
        "--figure",
        metavar="FILE",
        default="fastkl_demo.png",
        help="where to write the figure, with matplotlib (default: %(default)s, in this folder)",
    )
    demo.add_argument(
        "--rows",
        type=int,
        metavar="N",
        default=1_000_000,
        help="rows for the timing of batch scoring (default: 1,000,000)",
    )
    demo.add_argument("--seed", type=_seed, default=0, help="for rows kept apart, parts and draws (default: 0)")
    info = _command(commands, "info", "versions, threads and instruction set", "fastkl info")
    info.add_argument("--json", action="store_true", help="print as JSON")
    return top


def _add_fit(commands: "argparse._SubParsersAction[Parser]") -> None:
    fit = _command(
        commands,
        "fit",
        "rank families by cross-validated log-likelihood and fit the best",
        "fastkl fit old_faithful.csv --columns eruptions -o model\n  fastkl fit counts.csv --families poisson,negative_binomial",
    )
    fit.add_argument("data", help=FILES)
    fit.add_argument(
        "--families",
        metavar="A,B,C",
        help="families to compare, or 'all'; by default those that suit the data, and the product of the best for each column",
    )
    fit.add_argument(
        "--columns",
        metavar="A,B,C",
        help="columns to use, by name or number; by default all but identifiers and dates, which are named",
    )
    fit.add_argument(
        "--weights",
        metavar="COLUMN",
        help="column of weights, which is not fitted; whole numbers count as that many equal rows",
    )
    fit.add_argument("--folds", type=int, default=5, help="parts of the cross-validation (default: 5)")
    fit.add_argument("--seed", type=_seed, default=0, help="for the division into parts (default: 0)")
    _add_header(fit)
    fit.add_argument("--drop-missing", action="store_true", help="leave rows with missing values out; an error without")
    fit.add_argument("--json", action="store_true", help="print what was found as JSON")
    fit.add_argument("--figure", metavar="FILE", help="draw the ranking and the best density (.png, .pdf, .svg)")
    fit.add_argument("-o", "--output", metavar="FILE", help="where to save the fitted density")


def _add_score(commands: "argparse._SubParsersAction[Parser]") -> None:
    score = _command(
        commands,
        "score",
        "log-densities of rows under a saved density",
        "fastkl score model new.parquet -o scores.parquet",
    )
    score.add_argument("model", help="file written by fastkl fit, or by density.save")
    score.add_argument("data", help=f"{FILES}; it is read in parts and may be larger than memory")
    score.add_argument(
        "--columns",
        metavar="A,B,C",
        help="columns to use, in the order of the fit; by default those of the fit by name",
    )
    _add_header(score)
    score.add_argument("--json", action="store_true", help="print what was found as JSON")
    score.add_argument("-o", "--output", metavar="FILE", help="where to write them: .csv, .parquet or .npy")
    score.add_argument(
        "--batch-rows", type=int, default=1 << 17, metavar="N", help="rows read at a time (default: 131072)"
    )


def _add_models(commands: "argparse._SubParsersAction[Parser]") -> None:
    show = _command(commands, "show", "parameters of a saved density, with their errors", "fastkl show model")
    sample = _command(commands, "sample", "rows drawn from a saved density", "fastkl sample model -n 1000 -o rows.csv")
    for one in (show, sample):
        one.add_argument("model", help="file written by fastkl fit, or by density.save")
    show.add_argument("--json", action="store_true", help="print as JSON")
    sample.add_argument("-n", type=int, default=10, metavar="N", help="how many rows (default: 10)")
    sample.add_argument("--seed", type=_seed, help="for the draws; without it they differ every time")
    sample.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write them: .csv, .parquet or .npy; without it they are printed",
    )


def _add_kl(commands: "argparse._SubParsersAction[Parser]") -> None:
    kl = _command(
        commands,
        "kl",
        "KL divergence between the rows of two files, by column and joint",
        "fastkl kl before.csv after.csv --columns price,volume",
    )
    kl.add_argument("p", help=FILES)
    kl.add_argument("q", help=FILES)
    kl.add_argument("--columns", metavar="A,B,C", help="columns to use, by name or number; by default all")
    kl.add_argument("--no-test", dest="test", action="store_false", help="leave out the permutation tests")
    kl.add_argument("--seed", type=_seed, default=0, help="for the permutations (default: 0)")
    kl.add_argument(
        "--labels", metavar="A,B,C", help="columns that are labels although they hold numbers (codes, years)"
    )
    kl.add_argument(
        "--drop-missing", action="store_true", help="compare without missing values, which are errors otherwise"
    )
    _add_header(kl)
    kl.add_argument("--json", action="store_true", help="print everything as JSON")
    kl.add_argument("--neighbors", type=int, metavar="K", help="neighbours of the estimate (default: 5)")


def _add_plot(commands: "argparse._SubParsersAction[Parser]") -> None:
    plot = _command(
        commands,
        "plot",
        "draw a density, alone or over rows, or how two files differ",
        "fastkl plot model rows.csv -o fit.png\n  fastkl plot rows.csv -o best.png\n"
        "  fastkl plot before.csv after.csv -o change.svg",
    )
    plot.add_argument("first", metavar="model or rows", help=f"file of a saved density; or rows: {FILES}")
    plot.add_argument(
        "second", nargs="?", metavar="rows", help="rows to draw the density over, or to compare the first with"
    )
    plot.add_argument("-o", "--output", metavar="FILE", required=True, help="where to draw to (.png, .pdf, .svg)")
    plot.add_argument(
        "--kind",
        choices=("density", "qq", "pp", "cdf"),
        default="density",
        help="the density over the rows (default), rows against fitted quantiles, probabilities against shares of rows, or "
        "distribution functions",
    )
    plot.add_argument(
        "--columns", metavar="A,B,C", help="columns of the rows to use, by name or number; by default all"
    )
    plot.add_argument(
        "--labels", metavar="A,B,C", help="of two files: columns that are labels although they hold numbers"
    )
    _add_header(plot)
    plot.add_argument("--drop-missing", action="store_true", help="leave missing values out; an error without")
    plot.add_argument("--seed", type=_seed, default=0, help="for folds, draws and permutations (default: 0)")
    plot.set_defaults(test=True, neighbors=None)


def _add_header(command: Parser) -> None:
    command.add_argument(
        "--header",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the first line of CSV files holds names; by default unless it holds only numbers",
    )


def _command(commands: "argparse._SubParsersAction[Parser]", name: str, text: str, example: str) -> Parser:
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"Example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {2**32 - 1}, not {text!r}")
    return int(text)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Signs that a terminal's encoding has not, in ones that it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = {"±": "+/-", "‖": "||", "−": "-", "–": "-", "…": "...", "‑": "-"}
    return "".join(signs.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def _complain(text: str) -> None:
    cleared = "\r\033[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
    print(f"{cleared}fastkl: {text}", file=sys.stderr)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return (
            "there is not enough memory for all rows; take fewer of them, or score in smaller parts with --batch-rows"
        )
    return " ".join(str(error).split()) or type(error).__name__


def info_facts() -> dict[str, str]:
    """Versions, threads, OpenMP and the instruction set in use."""
    info = build_info()
    chosen = "chosen at run time" if info["runtime_dispatch"] else "fixed at build time"
    packages = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")
    return {
        "fastkl": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": f"{platform.system()} {platform.machine()}",
        "OpenMP": "yes" if info["openmp"] else "no: everything runs on one thread",
        "threads": str(info["threads"]),
        "instruction set": f"{info['instruction_set']} ({chosen})",
        "rows of a block": str(info["block_rows"]),
    }


def info_text() -> str:
    """The same, one line each."""
    return "\n".join(f"{name:<16} {value}" for name, value in info_facts().items())


if __name__ == "__main__":
    sys.exit(main())
