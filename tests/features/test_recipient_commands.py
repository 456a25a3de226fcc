"""The command of the queue: what waits, letters that are signed and name nobody, and what was told."""

import json
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from features.database.store import Store
from features.permission.commands import app
from features.permission.ledger import Event, Ledger
from features.permission.recipients import waiting
from features.permission.signing import check, signed
from tests.features import test_recipients as queueing


@pytest.fixture
def kept(workspace, monkeypatch):
    """A workspace that handed out rows of three people, of whom two spoke since."""
    monkeypatch.setattr(queueing, "SECRET", workspace.signing_key())
    store = Store(workspace.database_url)
    rows = queueing.hand_out(store, ["van:canary-1", "van:canary-2", "van:canary-3"], recipient="Print shop X & fils")
    queueing.hand_out(store, ["van:canary-1"], recipient="Mailer Y")
    queueing.say(store, ("van:canary-1", "objected"), ("van:canary-2", "withdrawn"))
    yield SimpleNamespace(workspace=workspace, store=store, rows=rows, root=workspace.root)
    store.close()


def run(kept, *words):
    return CliRunner().invoke(app, ["recipients", *map(str, words), "--workspace", str(kept.root)])


def test_what_waits_is_listed(kept):
    shown = run(kept).output.splitlines()
    assert shown[0].split() == ["recipient", "export", "handed", "out", "since", "erased", "objected", "withdrawn", "refused", "purged"]
    assert [line.split()[-5:] for line in shown[1:]] == [["0", "1", "0", "0", "0"], ["0", "1", "1", "0", "0"]]


def test_letters_are_written_and_what_was_told_is_kept(kept):
    done = run(kept, "--write", kept.root / "letters")
    assert done.exit_code == 0
    mailer, shop = sorted((kept.root / "letters").iterdir())
    assert (shop.name.startswith("print-shop-x-fils-"), shop.stat().st_mode & 0o777) == (True, 0o600)
    letter = json.loads(shop.read_text())
    check(letter, kept.workspace.signing_key())
    assert {row["reference"] for row in letter["exports"][0]["rows"]} == {kept.rows["van:canary-1"], kept.rows["van:canary-2"]}
    assert "canary" not in shop.read_text() + mailer.read_text() + done.output
    Ledger(kept.store, kept.workspace.signing_key()).append([Event("van:canary-3", "objected", "any", "any", queueing.NOW)], now=queueing.LATER, door="http")
    assert run(kept, "--told", shop, "--by", "A. Name").output == "2 notices: told by A. Name; 2 wait\n"
    assert [(notice.recipient, notice.reason) for notice in waiting(kept.store)] == [("Mailer Y", "objected"), ("Print shop X & fils", "objected")]
    assert run(kept, "--told", "Print shop X & fils", "--by", "A. Name").exit_code == 0
    assert run(kept, "--told", "Mailer Y", "--by", "A. Name").exit_code == 0
    assert run(kept).output == "none yet\n"
    assert "nobody has to be told" in run(kept, "--write", kept.root / "letters").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--told", "Mailer Y"], "go together"),
        (["--by", "A. Name"], "go together"),
        (["--told", "Mailer Y", "--by", " "], "go together"),
        (["--told", "Somebody", "--by", "A. Name"], "there wait: Mailer Y, Print shop X & fils"),
        (["--write", "{root}/notes"], "go to its folder"),
        (["--told", "{root}/forged.json", "--by", "A. Name"], "not a letter of this workspace"),
        (["--told", "{root}/other.json", "--by", "A. Name"], "not a letter of this workspace"),
    ],
)
def test_mistakes_are_told_and_change_nothing(kept, words, told):
    (kept.root / "forged.json").write_text(json.dumps({"exports": [], "signatures": {}}))
    (kept.root / "other.json").write_text(json.dumps(signed({"kind": "purge"}, kept.workspace.signing_key())))
    done = run(kept, *(word.format(root=kept.root) for word in words))
    assert (done.exit_code, len(waiting(kept.store))) == (typer.BadParameter.exit_code, 3)
    assert told in " ".join(done.output.replace("│", " ").split())
