"""Whether the parent's container can label: VASP is mounted, or GPAW is built in.

VASP counts where ``VASP_COMMAND`` says something; set it to nothing to run GPAW alone.
"""

import os
import shutil
import sys
from importlib.util import find_spec

from finetuna_flows.parents.vasp.command import vasp_command

if os.environ.get("VASP_COMMAND", "").strip():
    for word in vasp_command():
        if word.startswith("/") and shutil.which(word) is None:
            sys.exit(
                f"VASP_COMMAND names {word}, which is no program here; mount VASP at /opt/vasp"
            )
elif find_spec("gpaw") is None:
    sys.exit("VASP_COMMAND is empty and this image has no GPAW; build it with GPAW=yes")
