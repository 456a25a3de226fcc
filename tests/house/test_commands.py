"""Every command has help and an example, and stands in `docs/commands.md` with each of its options."""

from pathlib import Path

import pytest
import typer

import audience

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "commands.md"


def commands(group, before=()):
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


COMMANDS = dict(commands(typer.main.get_command(audience.app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_has_help_and_an_example(name):
    assert f"Example: audience {name}" in COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_is_documented_with_each_option(name):
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"### audience {name}\n" in text
    section = text.split(f"### audience {name}\n", 1)[1].split("\n### ")[0]
    for parameter in COMMANDS[name].params:
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert option in section or option in {"--workspace", "-w", "--help"}, option


def test_nothing_documented_is_gone():
    documented = {line.removeprefix("### audience ") for line in DOCUMENT.read_text(encoding="utf-8").split("\n") if line.startswith("### audience ")}
    assert documented == set(COMMANDS)
