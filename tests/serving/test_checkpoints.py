"""A checkpoint's line: read back as it was signed, refused when anything in it is another, checked by others with the public key alone."""

import json
import re
from datetime import UTC, datetime

import pytest

from serving.checkpoints import Checkpoint, CheckpointError, Signer
from tests.conftest import ROOT

SECRET = b"s" * 32
SIGNER = Signer(SECRET)
KEPT = Checkpoint(12, "ab" * 32, datetime(2026, 11, 1, 12, 0, 0, 5, tzinfo=UTC), 12)
LINE = SIGNER.line(KEPT)


def test_a_line_is_read_as_it_was_signed():
    assert SIGNER.read(LINE) == KEPT
    assert SIGNER.line(KEPT) == LINE
    assert "\n" not in LINE
    assert set(json.loads(LINE)) == {"seq", "link", "at", "count", "hmac", "signature"}


def test_a_line_that_an_earlier_release_signed_is_read():
    link, at = "ab" * 32, "2026-11-01T12:00:00+00:00"
    keyed = "f2bfa302c9d311b2867f451fb58e70a9e85e3e8cf93141a6e6b817cb055b8234"
    signature = "f0ae27b4793f3bbfa81d96089698494b5a8bcdcd0991c62c860fd4e39269cf879ac3a5e69d50e5070efabcb14cf42f003b4fc0437344a35d0c91254b2753c100"
    kept = f'{{"at":"{at}","count":10,"hmac":"{keyed}","link":"{link}","seq":10,"signature":"{signature}"}}'
    assert SIGNER.line(SIGNER.read(kept)) == kept
    assert SIGNER.name() == "60c504da4a1b2682"


def changed(**members):
    return json.dumps(json.loads(LINE) | members)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (changed(seq=11), "hmac"),
        (changed(count=11), "hmac"),
        (changed(link="cd" * 32), "hmac"),
        (changed(at="2026-11-01T12:00:00+00:00"), "hmac"),
        (changed(hmac="0" * 64), "hmac"),
        (changed(hmac="é"), "hmac"),
        (changed(signature="00" * 64), "signature"),
        (changed(signature="no hex"), "signature"),
        (changed(more=1), "members"),
        (changed(seq=True), "members"),
        (changed(seq=12.0), "members"),
        (changed(link="AB" * 32), "no link"),
        ("[]", "members"),
        ("{", "no line of JSON"),
        ("[" * 100_000, "no line of JSON"),
        ("", "no line of JSON"),
    ],
)
def test_anything_else_is_refused(line, why):
    with pytest.raises(CheckpointError, match=why):
        SIGNER.read(line)


def test_another_workspace_signs_otherwise():
    other = Signer(b"t" * 32)
    assert (other.name() == SIGNER.name(), other.public_key() == SIGNER.public_key()) == (False, False)
    with pytest.raises(CheckpointError, match="this workspace's key"):
        SIGNER.read(other.line(KEPT))


def test_a_signature_alone_is_not_enough():
    """Each of the two is checked: the keyed digest of one line does not go with the signature of another."""
    another = json.loads(SIGNER.line(Checkpoint(13, KEPT.link, KEPT.at, 13)))
    with pytest.raises(CheckpointError, match="signature"):
        SIGNER.read(changed(signature=another["signature"]))


def test_whoever_has_the_public_key_can_check_as_the_document_says(tmp_path, monkeypatch):
    recipe = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "audit.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "audit.pem").write_text(SIGNER.public_key())
    (tmp_path / "checkpoints.jsonl").write_text(f"{LINE}\n")
    monkeypatch.chdir(tmp_path)
    exec(recipe, {})
    (tmp_path / "checkpoints.jsonl").write_text(f"{changed(seq=11)}\n")
    with pytest.raises(Exception) as raised:
        exec(recipe, {})
    assert type(raised.value).__name__ == "InvalidSignature"


def test_neither_secret_nor_keys_stand_in_what_is_written():
    written = (LINE + SIGNER.public_key() + repr(SIGNER)).encode()
    assert SECRET not in written
    for key in (SECRET, SIGNER._keys._mac, SIGNER._keys._private.private_bytes_raw()):
        assert key.hex().encode() not in written
