"""What was written about the end of a run of VASP, beside its results."""

from __future__ import annotations

import json
import logging
import lzma
import zlib

from finetuna_flows.relaxation.vasp.attempt import NO_WAY_DOWN
from finetuna_flows.relaxation.vasp.files import VaspFiles

logger = logging.getLogger(__name__)

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What a damaged compressed file raises, or one that must not be read."""


def gave_up(files: VaspFiles) -> bool:
    """Whether VASP's output, or custodian's record of the last job, has that the optimizer failed.

    Custodian's speaks of the files beside it where it corrected no further. What cannot be read
    says nothing.
    """
    try:
        return _said_vasp(files) or _said_custodian(files)
    except (*UNREADABLE, ValueError, LookupError, TypeError) as exc:
        logger.warning("what VASP or custodian wrote of its end cannot be read: %s", exc)
        return False


def _said_vasp(files: VaspFiles) -> bool:
    if "vasp.out" not in files:
        return False
    with files["vasp.out"].open() as stream:
        return any(NO_WAY_DOWN.encode() in line for line in stream)


def _said_custodian(files: VaspFiles) -> bool:
    if "custodian.json" not in files:
        return False
    with files["custodian.json"].open() as stream:
        last = json.load(stream)[-1]
    stopped = any(last[name] for name in last if name.startswith("max_errors"))
    return stopped and "zbrent" in last["corrections"][-1]["errors"]
