"""Where the rows are: arrays in memory, batches on disk, Dask collections; two operations: sum over the rows, map over the rows."""

from fastkl.rows.opening import open_source
from fastkl.rows.source import Block, Source

__all__ = ["Block", "Source", "open_source"]
