"""Ground floor: blocks, threads, vector mathematics and linear algebra on blocks.

Nothing here knows scikit-learn or a distribution family. Four facts hold for every kernel:

* rows are cut into blocks of 4096 (``fk_config.h``), one partial result each, in float64;
* partials are merged in block order, so 1 and N threads give the same bits;
* inputs are C-contiguous, possibly read-only, float32 or float64; validation is the caller's;
* kernels hold no GIL, raise nothing, and return status codes.
"""
