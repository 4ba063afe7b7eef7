"""Runs where git, the databases and the workspace meet: a site, its catalog, records, inputs and outputs."""
