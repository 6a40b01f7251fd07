"""Words of messages and labels that several rooms need."""

from collections.abc import Iterable
from difflib import get_close_matches

# Values of options in other libraries, by what they are here.
_ELSEWHERE = {
    "plain": ["k1", "kl"],
    "squared": ["k2", "mse"],
    "low_variance": ["k3", "low_var_kl"],
    "plugin": ["ml", "mle", "emp", "empirical", "naive"],
    "miller_madow": ["mm", "millermadow"],
    "chao_shen": ["cs", "chaoshen"],
    "chao_wang_jost": ["cwj", "chaowangjost"],
    "james_stein": ["shrink", "shrinkage"],
    "full": ["vvv", "v"],
    "tied": ["eee", "e"],
    "diag": ["vvi", "diagonal"],
    "spherical": ["vii", "isotropic"],
    "sheather_jones": ["sj", "bw.sj", "sj-ste"],
    "likelihood": ["cv_ml", "cv.ml"],
    "gaussian": ["gau", "norm", "normal"],
    "epanechnikov": ["epa", "epan"],
    "tophat": ["box", "uni", "uniform", "rectangular"],
    "linear": ["tri", "triangular"],
    "cosine": ["optcosine"],
    "ks": ["kolmogorov", "kolmogorov-smirnov", "lilliefors"],
    "cvm": ["cramer", "cramer-von-mises"],
    "ad": ["anderson", "anderson-darling"],
}
_HERE = {name: here for here, names in _ELSEWHERE.items() for name in names}


def plural(count: int, thing: str) -> str:
    """``"1 row"``, ``"1,200 rows"``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def capital(sentence: str) -> str:
    """With a capital letter; ``str.capitalize`` takes those of column names away."""
    return sentence[:1].upper() + sentence[1:]


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A sentence, after a space: what a word of other libraries is here, or the known word nearest in spelling; or nothing."""
    known = list(known)
    here = _HERE.get(str(word).lower())
    if here in known:
        return f" Here it is {here!r}."
    near = get_close_matches(str(word), known, n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
