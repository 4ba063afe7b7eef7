"""What a run has on disk and on the branch: the site, its catalog, records, inputs and outputs."""
