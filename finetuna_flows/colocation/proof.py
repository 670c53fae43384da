"""Both halves prove that they know the run's token, without sending it.

Each answers the other's random challenge by the keyed hash (HMAC-SHA256, RFC 2104) of both
challenges and its own role, so that an answer serves for nothing else.
"""

from __future__ import annotations

import hmac
import secrets

BYTES = 32


def new_token() -> str:
    """A token for one run, or a challenge for one connection; hexadecimal."""
    return secrets.token_hex(BYTES)


def prove(token: str, role: str, theirs: str, mine: str) -> str:
    """Answer the challenge `theirs` in a role; `mine` is what this side challenges with."""
    said = f"finetuna-flows {role} {theirs} {mine}"
    return hmac.new(token.encode(), said.encode(), "sha256").hexdigest()


def is_proven(proof: object, token: str, role: str, mine: str, theirs: object) -> bool:
    """Whether the other side, in its role, answered the challenge `mine`."""
    if not isinstance(proof, str) or not isinstance(theirs, str):
        return False
    if not (proof.isascii() and theirs.isascii()):
        return False
    return hmac.compare_digest(proof, prove(token, role, mine, theirs))
