import pytest

from serving.settings import Settings, SettingsError


def test_defaults_and_given_values():
    assert Settings.from_environment({}).max_body_bytes == 1_048_576
    settings = Settings.from_environment({"AUDIENCE_WORKSPACE": "/some/where", "AUDIENCE_THREADS": "4", "PATH": "/bin"})
    assert (str(settings.workspace), settings.threads) == ("/some/where", 4)


def test_an_unknown_variable_is_refused_with_a_hint():
    with pytest.raises(SettingsError, match=r"AUDIENCE_WORKSPAC;.*Did you mean AUDIENCE_WORKSPACE"):
        Settings.from_environment({"AUDIENCE_WORKSPAC": "."})


def test_variables_of_others_are_let_stand():
    Settings.from_environment({"AUDIENCE_DATA": "/data", "AUDIENCE_CI": "1"})


def test_a_variable_of_our_own_tests_is_unknown_to_the_server():
    with pytest.raises(SettingsError, match="unknown variable AUDIENCE_GUARD"):
        Settings.from_environment({"AUDIENCE_GUARD": "/tmp/marks"})


def test_a_value_that_cannot_be_used_is_named_but_not_repeated():
    with pytest.raises(SettingsError, match="AUDIENCE_THREADS") as caught:
        Settings.from_environment({"AUDIENCE_THREADS": "s3cret"})
    assert "s3cret" not in str(caught.value)
