"""Rows of Dask collections: a pass over them is one graph of tasks."""
