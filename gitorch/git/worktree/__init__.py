"""Worktrees: made from templates, reset, handed on and removed."""
