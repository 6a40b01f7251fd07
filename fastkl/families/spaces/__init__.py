"""What a parameter is: its range, entries, coordinates, interval scale, default prior, and how it moves with the data.

A descriptor says ``parameters = {"shape": Positive(), "scale": Positive(role="scale")}``, and whatever needs to know more of a
parameter than its values asks its space: solvers for coordinates, inference for intervals, priors for their terms, criteria for
what an affine map in front of a density would learn twice. Nobody goes by a parameter's name, which is for people.

``base`` says what every space offers, ``numbers`` and ``joint`` hold the spaces of numbers that stand alone and of those that
hang together, ``stacked`` those of mixtures; ``scales`` and ``blocks`` are the coordinates behind them.
"""

from fastkl.families.spaces.base import Space
from fastkl.families.spaces.joint import Direction, PositiveDefinite, Simplex
from fastkl.families.spaces.numbers import (
    Angle,
    Concentration,
    DegreesOfFreedom,
    Numbers,
    Positive,
    Rate,
    Real,
    Slant,
    TailShape,
    UnitInterval,
)
from fastkl.families.spaces.stacked import Stacked, Tied, Weights

__all__ = [
    "Angle",
    "Concentration",
    "DegreesOfFreedom",
    "Direction",
    "Numbers",
    "Positive",
    "PositiveDefinite",
    "Rate",
    "Real",
    "Simplex",
    "Slant",
    "Space",
    "Stacked",
    "TailShape",
    "Tied",
    "UnitInterval",
    "Weights",
]
