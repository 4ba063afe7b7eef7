"""The commands, by what they are for; `cli/app.py` lists them."""
