"""PREDICT: cheap models of the energy surface, and the sum of a prior and its corrections."""
