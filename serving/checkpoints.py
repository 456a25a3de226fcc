"""Signed checkpoints of the audit log: what its last entry was, at a time. Kept elsewhere, they show what was cut off or written anew.

A checkpoint is one line of JSON. `hmac` is made with a key that only the workspace has; `signature` (Ed25519, RFC 8032) can be checked by whoever has
the public key. Both keys are derived from the workspace's signing key and serve nothing else (`features.permission.signing.Keys`).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from features.database.chain import canonical
from features.database.chained import CHAINED, NOTHING, Tip
from features.permission.signing import Keys, made_signature

CONTEXT = b"audience-scoring checkpoint 1\n"
"""What is signed is this and the line without its two signatures."""
_KEYS = b"audience-scoring/audit/checkpoint/"
_MEMBERS = {"seq": int, "link": str, "at": str, "count": int, "hmac": str, "signature": str}
_LINK = re.compile(r"[0-9a-f]{64}")


class CheckpointError(ValueError):
    """A checkpoint cannot be read, trusted or written; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last entry's number and link as of `at`, and how many entries there were; the same of register and ledger, if they had any.

    Of each pair both members stand in a line, or neither: lines of earlier releases have none.
    """

    seq: int
    link: str
    at: datetime
    count: int
    register: int | None = None
    register_link: str | None = None
    ledger: int | None = None
    ledger_link: str | None = None

    def end(self, name: str) -> Tip:
        """Return the last row of the table of that name in `CHAINED`, as it was then."""
        seq = getattr(self, name)
        return NOTHING if seq is None else Tip(seq, getattr(self, f"{name}_link"))


class Signer:
    """Signs and checks checkpoints with the keys of a workspace; `secret` is its signing key."""

    def __init__(self, secret: bytes) -> None:
        self._keys = Keys(secret, _KEYS)

    def line(self, checkpoint: Checkpoint) -> str:
        """Return a checkpoint as its signed line, without the line's end."""
        stated: dict[str, object] = {"seq": checkpoint.seq, "link": checkpoint.link, "at": checkpoint.at.isoformat(), "count": checkpoint.count}
        for name in CHAINED:
            stated |= members(name, checkpoint.end(name))
        signed = _signed(stated)
        return canonical(stated | {"hmac": self._keys.mac(signed), "signature": self._keys.sign(signed)})

    def read(self, line: str) -> Checkpoint:
        """Return the checkpoint that a line states. Raises CheckpointError when it cannot be read or one of its signatures is not this workspace's."""
        stated = _members(line)
        keyed, signature = stated.pop("hmac"), stated.pop("signature")
        signed = _signed(stated)
        if not self._keys.made_mac(signed, keyed):
            raise CheckpointError("its hmac is not of this workspace's key")
        if not made_signature(self._keys.public, signed, signature):
            raise CheckpointError("its signature is not of this workspace's key")
        return Checkpoint(**stated | {"at": datetime.fromisoformat(stated["at"])})

    def public_key(self) -> str:
        """Return the public key that checks signatures, as PEM."""
        return self._keys.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def name(self) -> str:
        """Return 16 hex digits that tell this workspace's checkpoints from others': the beginning of the public key's SHA-256."""
        return hashlib.sha256(self._keys.public.public_bytes_raw()).hexdigest()[:16]


def members(name: str, end: Tip) -> dict[str, Any]:
    """Return the members of a checkpoint on a table's last row, none where it has no row."""
    return {name: end.seq, f"{name}_link": end.link} if end.seq else {}


def _signed(stated: dict[str, object]) -> bytes:
    return CONTEXT + canonical(stated).encode()


def _members(line: str) -> dict:
    try:
        stated = json.loads(line)
    except (ValueError, RecursionError):
        raise CheckpointError("it is no line of JSON") from None
    wanted = dict(_MEMBERS)
    for name in CHAINED:
        wanted |= {name: int, f"{name}_link": str} if isinstance(stated, dict) and name in stated else {}
    if not isinstance(stated, dict) or {name: type(value) for name, value in stated.items()} != wanted:
        raise CheckpointError(f"it does not have the members of a checkpoint: {', '.join(wanted)}")
    if not all(_LINK.fullmatch(value) for name, value in stated.items() if name.endswith("link")):
        raise CheckpointError("its link is no link")
    return stated
