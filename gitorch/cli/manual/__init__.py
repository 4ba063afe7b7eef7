"""The texts of `gitorch help TOPIC`. A line `{name}` stands for a table that the program makes."""
