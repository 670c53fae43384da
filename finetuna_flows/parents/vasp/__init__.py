"""VASP as the parent: cold (M1), from WAVECAR (M2), interactive (M3)."""
