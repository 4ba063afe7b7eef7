"""The engine of Dask clusters, whose hosts need no file system in common."""
