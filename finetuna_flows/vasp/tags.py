"""What tags of the INCAR mean for a relaxation."""

FIXED_CELL = 2
"""The largest ISIF that leaves the cell alone."""

RELAXATIONS = {1: "VASP quasi-Newton", 2: "VASP CG", 3: "VASP damped"}
"""Names of the methods by IBRION."""
