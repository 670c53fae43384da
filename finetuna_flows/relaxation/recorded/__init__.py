"""Relaxations that were run elsewhere, read from trajectories, databases and published files."""
