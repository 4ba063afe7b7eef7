"""The command line: it parses the arguments, calls an action and shows the result."""

import gc

# Nearly every object that a command creates lives as long as the command. Collecting garbage after
# every 700 objects, as Python does by default, took a tenth of the start-up and of a worker's time.
gc.set_threshold(50_000, 20, 20)
