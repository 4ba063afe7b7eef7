"""Worktrees: the contract, the fast implementation, and the parts that it is made of."""
