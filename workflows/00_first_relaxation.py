"""What `make relax` runs: O on a slab, online and by BFGS, on the first DFT engine that works here.

    python workflows/00_first_relaxation.py

It is this command with the engine filled in; runs and ledgers are under `runs/`:

    finetuna-flows compare STRUCTURE --parent ENGINE --methods online,BFGS --fresh
"""

from pathlib import Path

from finetuna_flows.cli import app
from finetuna_flows.parents.embedded import embedded_engines

STRUCTURES = Path(__file__).parent / "structures"
EXAMPLES = {
    "gpaw": STRUCTURES / "O_on_Al111.extxyz",
    "tblite": STRUCTURES / "O_on_Cu111.extxyz",  # Γ only, so the cell is larger
}

if __name__ == "__main__":
    working = [engine for engine, complaint in embedded_engines().items() if complaint is None]
    if not working:
        raise SystemExit("no DFT engine works here; `finetuna-flows doctor` says why")
    engine = working[0]
    words = ["--parent", engine, "--methods", "online,BFGS", "--fresh"]
    app(["compare", str(EXAMPLES[engine]), *words])
