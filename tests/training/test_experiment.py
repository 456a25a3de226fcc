import json

import pytest

from training.experiment import BEGIN, END, ExperimentError, markdown, run, write_results

RECORDS = [{"arm": "a", "AUTOC": 0.1}, {"arm": "b", "AUTOC": None}]


def test_records_become_a_table():
    assert markdown(RECORDS).splitlines() == ["| arm | AUTOC |", "| --- | --- |", "| a | 0.1 |", "| b | None |"]


def test_results_replace_the_earlier_ones_and_nothing_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"question\n\n{BEGIN}\nold\n{END}\n\ndecision\n", encoding="utf-8")
    for _ in range(2):
        write_results(tmp_path, {"Arms": RECORDS})
    text = readme.read_text(encoding="utf-8")
    assert text == f"question\n\n{BEGIN}\n\n**Arms**\n\n{markdown(RECORDS)}\n\n{END}\n\ndecision\n"
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == {"Arms": RECORDS}


def test_a_readme_without_a_place_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("question", encoding="utf-8")
    with pytest.raises(ExperimentError, match="no place for results"):
        write_results(tmp_path, {"Arms": RECORDS})


def test_a_failing_step_stops_the_experiment_unless_it_may_fail(capfd):
    assert run("-c", "print('done')")
    assert not run("-c", "raise SystemExit(1)", may_fail=True)
    with pytest.raises(ExperimentError, match="exit code 3"):
        run("-c", "raise SystemExit(3)")
    assert "done" in capfd.readouterr().out
