"""Plots as values: the axes with their ticks, and curves as SVG."""
