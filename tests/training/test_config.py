import pytest

from features.workspace import Workspace
from training.config import AffinityConfig, ConfigError, PersuadabilityConfig, parameters, parse_config, read_config


def test_defaults_need_no_table():
    config = parse_config({})
    assert (config.affinity.horizon_days, config.affinity.gap_days, config.affinity.gate.ece) == (30, 1, 0.02)
    assert config.affinity.spacing == 31
    assert config.persuadability.gate.autoc_alpha == 0.01


def test_the_workspace_table_is_read(tmp_path):
    (tmp_path / "audience.toml").write_text(
        '[workspace]\nname = "riverside"\n[kinds.open]\ndirection = "in"\nen = "open"\n[channels.email]\nen = "e-mail"\n'
        "[training.affinity]\nhorizon_days = 14\n[training.affinity.model]\nnum_trees = 50\n[training.persuadability.gate]\nautoc_alpha = 0.005\n"
    )
    config = read_config(Workspace.open(tmp_path))
    assert config.affinity.horizon_days == 14
    assert config.affinity.model == {"num_trees": 50}
    assert config.persuadability.gate.autoc_alpha == 0.005


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"afinity": {}}, r"training\.afinity.*Did you mean 'affinity'"),
        ({"affinity": {"horizon": 30}}, r"training\.affinity\.horizon: .*given: 30.*Did you mean 'horizon_days'"),
        ({"affinity": {"gate": {"ecc": 1}}}, r"training\.affinity\.gate\.ecc.*Did you mean 'ece'"),
        ({"affinity": {"model": {"num_tree": 5}}}, r"'num_tree' is no parameter of TopicAffinity.*Did you mean 'num_trees'"),
        ({"affinity": {"model": {"topics": "housing"}}}, "is no parameter"),
        ({"affinity": {"model": {"num_trees": 2.5}}}, r"num_trees = 2\.5: Input should be a valid integer"),
        ({"affinity": {"model": {"refit": "no"}}}, "refit = 'no': Input should be a valid boolean"),
        ({"affinity": {"model": {"coverage": 2.0}}}, r"coverage must lie inside \(0, 1\): given 2\.0"),
        ({"affinity": {"model": {"max_rows": 0}}}, "max_rows must lie in"),
        ({"affinity": {"model": {"l2": float("nan")}}}, "l2 must lie in"),
        ({"persuadability": {"model": {"n_folds": 3.5}}}, r"n_folds = 3\.5: Input should be a valid integer"),
        ({"persuadability": {"model": {"folds": 5}}}, r"is no parameter of Persuadability.*Did you mean 'n_folds'"),
        ({"affinity": {"spacing_days": 5}}, "reach past the next snapshot"),
        ({"affinity": {"horizon_days": 0}}, r"horizon_days.*greater than or equal to 1.*given: 0"),
        ({"persuadability": {"half_samples": 19}}, r"half_samples: .*0 for none, or at least 20.*given 19"),
        ({"persuadability": {"half_samples": -1}}, r"half_samples.*greater than or equal to 0"),
        ({"persuadability": {"capacity": 1.5}}, r"capacity.*less than or equal to 1.*given: 1\.5"),
    ],
)
def test_faults_are_refused_with_a_hint(table, words):
    with pytest.raises(ConfigError, match=words):
        parse_config({"training": table})


def test_parameters_are_flat_and_complete():
    flat = parameters(AffinityConfig(model={"num_trees": 5}))
    assert flat["model.num_trees"] == 5
    assert flat["gate.ece"] == 0.02
    assert "labels" not in flat
    assert flat["seed"] == 0


def test_half_samples_are_drawn_unless_none_are_wanted():
    assert PersuadabilityConfig().half_samples == 100
    assert [PersuadabilityConfig(half_samples=draws).half_samples for draws in (0, 20)] == [0, 20]
    assert parameters(PersuadabilityConfig())["half_samples"] == 100, "a run logs it"


def test_configuration_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        AffinityConfig().horizon_days = 5
