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

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from features.database.chain import canonical
from features.permission.signing import Keys, made_signature

CONTEXT = b"audience-scoring checkpoint 1\n"
"""What is signed is this and the line without its two signatures."""
_KEYS = b"audience-scoring/audit/checkpoint/"
_MEMBERS = {"seq": int, "link": str, "at": str, "count": int, "hmac": str, "signature": str}
_REGISTER = {"register": int, "register_link": str}
"""Members of checkpoints since there is a register; all or none of them are there."""
_LINK = re.compile(r"[0-9a-f]{64}")


class CheckpointError(ValueError):
    """A checkpoint cannot be read, trusted or written; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last entry's number and link as of `at`, and how many entries there were; number and link of the register's last entry, if there was one."""

    seq: int
    link: str
    at: datetime
    count: int
    register: int | None = None
    register_link: str | None = None


class Signer:
    """Signs and checks checkpoints with the keys of a workspace; `secret` is its signing key."""

    def __init__(self, secret: bytes) -> None:
        self._keys = Keys(secret, _KEYS)

    def line(self, checkpoint: Checkpoint) -> str:
        """Return a checkpoint as its signed line, without the line's end."""
        stated: dict[str, object] = {"seq": checkpoint.seq, "link": checkpoint.link, "at": checkpoint.at.isoformat(), "count": checkpoint.count}
        if checkpoint.register is not None:
            stated |= {"register": checkpoint.register, "register_link": checkpoint.register_link}
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
        at = datetime.fromisoformat(stated["at"])
        return Checkpoint(stated["seq"], stated["link"], at, stated["count"], stated.get("register"), stated.get("register_link"))

    def public_key(self) -> str:
        """Return the public key that checks signatures, as PEM."""
        return self._keys.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def name(self) -> str:
        """Return 16 hex digits that tell this workspace's checkpoints from others': the beginning of the public key's SHA-256."""
        return hashlib.sha256(self._keys.public.public_bytes_raw()).hexdigest()[:16]


def _signed(stated: dict[str, object]) -> bytes:
    return CONTEXT + canonical(stated).encode()


def _members(line: str) -> dict:
    try:
        stated = json.loads(line)
    except (ValueError, RecursionError):
        raise CheckpointError("it is no line of JSON") from None
    if not isinstance(stated, dict) or {name: type(value) for name, value in stated.items()} not in (_MEMBERS, _MEMBERS | _REGISTER):
        raise CheckpointError(f"it does not have the members of a checkpoint: {', '.join(_MEMBERS)}")
    if not all(_LINK.fullmatch(stated[name]) for name in ("link", "register_link") if name in stated):
        raise CheckpointError("its link is no link")
    return stated
