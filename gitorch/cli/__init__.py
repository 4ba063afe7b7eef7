"""The command line: what is given is parsed, an action does it, and what came of it is shown."""

import gc

# Nearly all that a command makes lives as long as it does: to look for garbage after every 700 objects took a tenth of
# its start and of what a worker does.
gc.set_threshold(50_000, 20, 20)
