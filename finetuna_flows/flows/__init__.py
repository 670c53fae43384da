"""JOBFLOW: all of it as Makers, Jobs and Flows."""
