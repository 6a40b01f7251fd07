"""How high the search of mixtures gets with default settings, against maxima that other routes reach."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_t, t

from fastkl import MixtureMLE, families
from fastkl._core.rows import Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.students import StudentMaps
