"""Signed documents: JSON that whoever holds the workspace's secret can prove to be its own (HMAC), and anybody else by a public key (Ed25519).

Both keys are derived from the secret, apart from each other and from every other use of it (HKDF, RFC 5869; Ed25519, RFC 8032).
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
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNATURES = "signatures"
"""The key of a document under which its signatures stand; they cover everything else."""
_CONTEXT = b"audience-scoring/documents/"
_KEY_BYTES = 32


class SignatureError(ValueError):
    """A document is not what was signed, or was signed by someone else; the message says which."""


def signed(document: Mapping[str, Any], secret: bytes) -> dict[str, Any]:
    """Return the JSON-able document with its `signatures`: `hmac_sha256`, `ed25519` and the `public_key` of the latter, in hex."""
    said = {key: value for key, value in document.items() if key != SIGNATURES}
    text, private = _text(said), _private(secret)
    signatures = {
        "hmac_sha256": hmac.digest(_derived(secret, b"hmac"), text, "sha256").hex(),
        "ed25519": private.sign(text).hex(),
        "public_key": public_key(secret),
    }
    return said | {SIGNATURES: signatures}


def public_key(secret: bytes) -> str:
    """Return the key (64 hex digits) with which anybody can check what was signed with the secret."""
    return _private(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def check(document: Mapping[str, Any], secret: bytes) -> None:
    """Raise SignatureError unless the document was signed with this secret and is unchanged since."""
    stated = str(_signatures(document).get("hmac_sha256", ""))
    if not hmac.compare_digest(hmac.digest(_derived(secret, b"hmac"), _text(document), "sha256").hex().encode(), stated.encode()):
        raise SignatureError("the document was changed since it was signed, or another workspace signed it")
    check_public(document, public_key(secret))


def check_public(document: Mapping[str, Any], key: str) -> None:
    """Raise SignatureError unless the document was signed by who holds the secret behind the public key (64 hex digits), and is unchanged since."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(str(_signatures(document).get("ed25519", ""))), _text(document))
    except (InvalidSignature, ValueError):
        raise SignatureError("the document was changed since it was signed, or that public key is another signer's") from None


def _signatures(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get(SIGNATURES)
    if not isinstance(found, dict):
        raise SignatureError(f"the document has no {SIGNATURES}")
    return found


def _text(document: Mapping[str, Any]) -> bytes:
    """Return the one text of a document: sorted, without spaces, without its signatures."""
    said = {key: value for key, value in document.items() if key != SIGNATURES}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _private(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_derived(secret, b"ed25519"))


def _derived(secret: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_CONTEXT + use).derive(secret)
