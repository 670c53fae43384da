"""Relaxations that VASP has done by itself, read from what it left."""
