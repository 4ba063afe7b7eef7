"""The only door to pygit2 and the git program: objects and references by pygit2, work trees by the program."""
