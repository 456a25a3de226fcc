"""What a workspace signs: whoever holds its secret can prove it to be its own (HMAC), and anybody else by a public key (Ed25519).

Both keys are derived from the secret, apart from each other and from every other use of it (HKDF, RFC 5869; Ed25519, RFC 8032). `Keys` serve documents of JSON,
here, and the checkpoints of the log (`serving.checkpoints`).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SIGNATURES = "signatures"
"""The key of a document under which its signatures stand; they cover everything else."""
_CONTEXT = b"audience-scoring/documents/"
_KEY_BYTES = 32


class Keys:
    """The two keys of one use of the secret; `context` names the use and tells its keys from those of others."""

    def __init__(self, secret: bytes, context: bytes) -> None:
        self._mac = _derived(secret, context + b"hmac")
        self._private = Ed25519PrivateKey.from_private_bytes(_derived(secret, context + b"ed25519"))

    @property
    def public(self) -> Ed25519PublicKey:
        """The key with which anybody can check signatures."""
        return self._private.public_key()

    def mac(self, text: bytes) -> str:
        """Return the keyed digest of a text (64 hex digits)."""
        return hmac.digest(self._mac, text, "sha256").hex()

    def sign(self, text: bytes) -> str:
        """Return the signature of a text (128 hex digits)."""
        return self._private.sign(text).hex()

    def made_mac(self, text: bytes, stated: str) -> bool:
        """Return whether the stated digest is that of the text; it may be anything."""
        return hmac.compare_digest(self.mac(text).encode(), stated.encode())


def made_signature(public: Ed25519PublicKey, text: bytes, stated: str) -> bool:
    """Return whether the stated signature (hex; it may be anything) of the text was made by who holds the secret behind the public key."""
    try:
        public.verify(bytes.fromhex(stated), text)
    except (InvalidSignature, ValueError):
        return False
    return True


class SignatureError(ValueError):
    """A document is not what was signed, or was signed by someone else; the message says which."""


def signed(document: Mapping[str, Any], secret: bytes) -> dict[str, Any]:
    """Return the JSON-able document with its `signatures`: `hmac_sha256`, `ed25519` and the `public_key` of the latter, in hex."""
    said = {key: value for key, value in document.items() if key != SIGNATURES}
    text, keys = _text(said), Keys(secret, _CONTEXT)
    return said | {SIGNATURES: {"hmac_sha256": keys.mac(text), "ed25519": keys.sign(text), "public_key": public_key(secret)}}


def public_key(secret: bytes) -> str:
    """Return the key (64 hex digits) with which anybody can check what was signed with the secret."""
    return Keys(secret, _CONTEXT).public.public_bytes_raw().hex()


def check(document: Mapping[str, Any], secret: bytes) -> None:
    """Raise SignatureError unless the document was signed with this secret and is unchanged since."""
    stated = str(_signatures(document).get("hmac_sha256", ""))
    if not Keys(secret, _CONTEXT).made_mac(_text(document), stated):
        raise SignatureError("the document was changed since it was signed, or another workspace signed it")
    check_public(document, public_key(secret))


def check_public(document: Mapping[str, Any], key: str) -> None:
    """Raise SignatureError unless the document was signed by who holds the secret behind the public key (64 hex digits), and is unchanged since."""
    stated = str(_signatures(document).get("ed25519", ""))
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    except ValueError:
        public = None
    if public is None or not made_signature(public, _text(document), stated):
        raise SignatureError("the document was changed since it was signed, or that public key is another signer's")


def _signatures(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get(SIGNATURES)
    if not isinstance(found, dict):
        raise SignatureError(f"the document has no {SIGNATURES}")
    return found


def _text(document: Mapping[str, Any]) -> bytes:
    """Return the one text of a document: sorted, without spaces, without its signatures."""
    said = {key: value for key, value in document.items() if key != SIGNATURES}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _derived(secret: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=use).derive(secret)
