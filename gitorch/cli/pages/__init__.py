"""Templates of the pages that gitorch writes."""
