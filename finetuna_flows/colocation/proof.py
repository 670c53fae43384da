"""Both halves prove that they know the run's token, without sending it.

Each answers the other's random challenge by the keyed hash (HMAC-SHA256, RFC 2104) of both
challenges and its own role, so that an answer serves for nothing else.
"""

from __future__ import annotations

import hmac
import secrets

from finetuna_flows.errors import ProtocolError

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


class ParentsProof:
    """The parent's side of one proof: it answers the learner's challenge, then checks the learner.

    Parameters
    ----------
    token
        Of the run; empty where the other side asks for none.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._mine = self._theirs = ""
        self.is_due = bool(token)
        """Whether the other side has to prove still that it is the run's learner."""

    def answer(self, theirs: str, peer: str) -> dict[str, str]:
        """What the parent says to the challenge of `peer`.

        Raises
        ------
        ProtocolError
            If there is no token to know, or it is no challenge.
        """
        if not self._token:
            raise ProtocolError(f"{peer} asks for the token of its run, but none was given")
        if not theirs.isascii():
            raise ProtocolError(f"{peer} challenges with {theirs[:60]!r}")
        self._mine, self._theirs = new_token(), theirs
        proof = prove(self._token, "parent", theirs, self._mine)
        return {"proof": proof, "challenge": self._mine}

    def check(self, proof: object, peer: str) -> None:
        """See that `peer` knows the token too.

        Raises
        ------
        ProtocolError
            If it was not challenged, or does not.
        """
        known = is_proven(proof, self._token, "learner", self._mine, self._theirs)
        if not self._mine or not known:
            raise ProtocolError(f"{peer} does not know the token of this run")
        self.is_due = False
