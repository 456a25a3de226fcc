"""Signed documents: whoever changes one, or signs with another secret, is found out, with the secret and with the public key alone."""

import copy

import pytest

from features.permission.signing import SignatureError, check, check_public, public_key, signed

SECRET, OTHER = b"s" * 32, b"o" * 32
DOCUMENT = {"format": "certificate 1", "removed": {"people": 1, "é": 0.5}, "found": [], "note": None}


def test_what_was_signed_holds():
    document = signed(DOCUMENT, SECRET)
    check(document, SECRET)
    check_public(document, public_key(SECRET))
    assert {key: value for key, value in document.items() if key != "signatures"} == DOCUMENT
    assert signed(document, SECRET) == document


def test_what_an_earlier_release_signed_still_holds():
    kept = {
        "hmac_sha256": "b4bbb46f228ac9e210527d203cf4d34cc86bc4b62ee5c62e4247a91ac174f2db",
        "ed25519": "f24c6c249203b296f3084c4ffb3813617540679c034786a42f0f5062f7a90e5533f88e317393846e3e08ba668ee8f788a78756dbf88f0e165f78c24c5bce730d",
        "public_key": "fb46449b81406281f921bf9029cc8ac647c14eac42df31c64c4d2b8a8a18981d",
    }
    check(DOCUMENT | {"signatures": kept}, SECRET)
    assert signed(DOCUMENT, SECRET)["signatures"] == kept


def changes():
    for words, change in (
        ("a value", lambda document: document["removed"].update(people=2)),
        ("a key more", lambda document: document.update(more=1)),
        ("a key less", lambda document: document.pop("note")),
        ("the mac", lambda document: document["signatures"].update(hmac_sha256="0" * 64)),
        ("the signature", lambda document: document["signatures"].update(ed25519="0" * 128)),
        ("no hex", lambda document: document["signatures"].update(ed25519="zz", hmac_sha256="é")),
        ("no signatures", lambda document: document.pop("signatures")),
        ("signatures that are none", lambda document: document.update(signatures="yes")),
    ):
        yield pytest.param(change, id=words)


@pytest.mark.parametrize("change", list(changes()))
def test_a_change_is_found(change):
    document = copy.deepcopy(signed(DOCUMENT, SECRET))
    change(document)
    with pytest.raises(SignatureError):
        check(document, SECRET)


def test_another_secret_is_another_signer():
    with pytest.raises(SignatureError, match="another workspace"):
        check(signed(DOCUMENT, SECRET), OTHER)
    with pytest.raises(SignatureError, match="another signer"):
        check_public(signed(DOCUMENT, SECRET), public_key(OTHER))
    with pytest.raises(SignatureError, match="another signer"):
        check_public(signed(DOCUMENT, SECRET), "no key")


def test_a_mac_that_holds_does_not_make_up_for_a_signature_that_does_not():
    document = signed(DOCUMENT, SECRET)
    document["signatures"] = document["signatures"] | {"ed25519": signed(DOCUMENT, OTHER)["signatures"]["ed25519"]}
    with pytest.raises(SignatureError):
        check(document, SECRET)


def test_the_secret_and_other_uses_of_it_do_not_show():
    assert SECRET.hex() not in str(signed(DOCUMENT, SECRET))
    assert len({public_key(SECRET), public_key(OTHER), SECRET.hex()}) == 3
