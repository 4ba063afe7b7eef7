"""The directory that goes on the PYTHONPATH of attempts, so that `import gitorch` works in every interpreter."""
