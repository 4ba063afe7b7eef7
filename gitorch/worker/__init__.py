"""Where git, queue and engines meet: what sees an attempt through."""
