"""Where the rows are: arrays in memory, files, batches, Dask collections.

Two operations: sum a function over the rows, map a function over the rows.
"""

from fastkl.rows.csv_path import CsvPath
from fastkl.rows.opening import open_source
from fastkl.rows.source import Block, Source

__all__ = ["Block", "CsvPath", "Source", "open_source"]
