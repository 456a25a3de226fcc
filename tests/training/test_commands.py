import pytest
from typer.testing import CliRunner

import audience


@pytest.mark.parametrize("words", ["train affinity", "train persuadability story", "tune affinity --trials 1", "recalibrate"])
def test_what_lies_in_the_future_is_not_trained_on(campaign, words):
    done = CliRunner().invoke(audience.app, [*words.split(), "--now", "2999-01-01", "--workspace", str(campaign.root)])
    assert done.exit_code == 2
    assert "lies in the future" in done.output
    assert not (campaign.root / "mlflow.db").exists(), "nothing was begun"
