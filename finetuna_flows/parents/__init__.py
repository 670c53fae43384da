"""LABEL: the reference calculations that the surrogate learns from."""
