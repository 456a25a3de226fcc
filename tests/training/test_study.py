import json
import pickle
from pathlib import Path

import pytest

from training.study import PRUNE_AFTER, RANDOM_TRIALS, Axis, Study, StudyError

AXES = {"rate": Axis(0.01, 1.0, log=True), "depth": Axis(1, 6, whole=True), "idle": Axis(0.0, 1.0)}
FIRST = {"rate": 0.123456, "depth": 3, "idle": 0.5}
FACTS = {"data": "a", "release": "1"}


def opened(path, facts=FACTS, first=FIRST):
    return Study.open(path, AXES, first=first, facts=facts, seed=4)


def loss(setting):
    return (setting["rate"] - 0.3) ** 2 + 0.001 * setting["depth"]


def make(study, count):
    for _ in range(count):
        with study.trial() as trial:
            value = loss(trial.setting)
            trial.keep({"double": 2 * value})
            if not trial.hopeless(1, value):
                trial.value = value
    return study.finished()


def made(path, count, **changed):
    with opened(path, **changed) as study:
        return make(study, count)


def test_the_first_trial_is_the_setting_in_use_to_the_last_digit(tmp_path):
    (first,) = made(tmp_path / "study", 1)
    assert first.setting == FIRST
    assert first.value == loss(FIRST)
    assert first.facts == {"double": 2 * loss(FIRST)}


def test_proposals_have_three_digits_and_lie_on_the_axes(tmp_path):
    for tried in made(tmp_path / "study", 25)[1:]:
        assert 0.01 <= tried.setting["rate"] <= 1.0
        assert float(f"{tried.setting['rate']:.3g}") == tried.setting["rate"]
        assert isinstance(tried.setting["depth"], int)
        assert tried.setting["depth"] in range(1, 7)


def test_it_gets_better_than_it_began(tmp_path):
    tried = made(tmp_path / "study", 40)
    best = min(trial.value for trial in tried if trial.value is not None)
    assert best < 0.2 * tried[0].value
    late = sum(abs(trial.setting["rate"] - 0.3) for trial in tried[-10:])
    early = sum(abs(trial.setting["rate"] - 0.3) for trial in tried[1:11])
    assert late < early, "later proposals are nearer to the best"


def test_so_many_trials_do_not_depend_on_what_was_found_the_setting_in_use_among_them(tmp_path):
    settings = []
    for name, turned in (("one", 1), ("other", -1)):
        with opened(tmp_path / name) as study:
            for _ in range(RANDOM_TRIALS + 1):
                with study.trial() as trial:
                    trial.value = turned * loss(trial.setting)
            settings.append([tried.setting for tried in study.finished()])
    one, other = settings
    assert one[0] == FIRST
    assert one[:RANDOM_TRIALS] == other[:RANDOM_TRIALS]
    assert one[RANDOM_TRIALS] != other[RANDOM_TRIALS], "the estimator proposes what comes next"
    words = {9: "nine", 10: "ten"}[RANDOM_TRIALS - 1]
    assert f"The next {words} are drawn at random" in (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def test_stopped_interrupted_killed_and_continued_is_what_never_stopped(tmp_path):
    whole = made(tmp_path / "whole", 20)
    path = tmp_path / "parts"
    with opened(path) as study, pytest.raises(KeyboardInterrupt), study.trial():
        raise KeyboardInterrupt
    made(path, 7)
    with opened(path) as study:
        study._ask()  # a process that was killed in the middle of a trial, and of a line
    with path.open("ab") as file:
        file.write(b'{"op_code":6,"work')
    made(path, 6)
    with opened(path) as study:
        assert study.story.endswith("after 13 trials")
        assert study.continued == 13
        with pytest.raises(ZeroDivisionError), study.trial():
            raise ZeroDivisionError
        assert make(study, 7) == whole


def test_a_killed_first_trial_is_tried_again(tmp_path):
    with opened(tmp_path / "study") as study:
        study._study.enqueue_trial(FIRST)
    with opened(tmp_path / "study") as study:
        study._ask()
    assert [tried.setting == FIRST for tried in made(tmp_path / "study", 2)] == [True, False]


def test_other_facts_begin_another_study_and_the_story_names_them(tmp_path):
    path = tmp_path / "study"
    with opened(path) as study:
        assert "not those" not in study.story
        assert study.story.startswith("begins study")
        make(study, 2)
    with opened(path, facts=FACTS | {"data": "b"}) as study:
        assert study.story.endswith(": not those of the study before are the data")
        assert study.finished() == []
    with opened(path, facts={"data": "c", "release": "2"}) as study:
        assert study.story.endswith("are the data, the release")
    with opened(path) as study:
        assert "continues" in study.story
        assert len(study.finished()) == 2


def test_only_one_process_at_a_time(tmp_path):
    with opened(tmp_path / "study"), pytest.raises(StudyError, match="another process is tuning"), opened(tmp_path / "study"):
        pass
    made(tmp_path / "study", 1)


def test_a_damaged_file_is_told_in_words(tmp_path):
    path = tmp_path / "study"
    made(path, 2)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"no json", *lines[2:]]))
    with pytest.raises(StudyError, match="changed or damaged"), opened(path):
        pass


def test_what_is_kept_is_json_and_nothing_is_pickled(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("something is pickled")

    for name in ("dumps", "dump", "loads", "load", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    path = tmp_path / "deeper" / "study"
    made(path, 3)
    made(path, 130)  # beyond the hundred after which journals elsewhere are pickled
    assert [child.name for child in path.parent.iterdir()] == ["study"]
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_what_is_worse_than_the_median_ends_early(tmp_path):
    ends = []
    with opened(tmp_path / "study") as study:
        for number in range(12):
            with study.trial() as trial:
                worse = number % 2 == 1
                values = [1.0 + worse, 0.5 + worse]
                if not any(trial.hopeless(step, value) for step, value in enumerate(values, 1)):
                    trial.value = values[-1]
                ends.append(trial.value)
        assert [tried.value for tried in study.finished()] == ends
    assert all(end is not None for end in ends[:PRUNE_AFTER]), "nothing ends early before there is something to compare with"
    assert ends[PRUNE_AFTER:] == [None, 0.5, None, 0.5, None, 0.5, None]


def test_importances_find_what_matters(tmp_path):
    with opened(tmp_path / "study") as study:
        make(study, RANDOM_TRIALS - 1)
        assert study.importances() == {}
        make(study, 30)
        found = study.importances()
        assert found == study.importances()
    assert next(iter(found)) == "rate"
    assert sum(found.values()) == pytest.approx(1)
    assert found["rate"] > 0.6


def test_trials_that_are_all_equal_have_no_importances(tmp_path):
    with opened(tmp_path / "study") as study:
        for _ in range(RANDOM_TRIALS):
            with study.trial() as trial:
                trial.value = 1.0
        assert study.importances() == {}


def test_an_axis_grows_to_hold_the_setting_in_use(tmp_path):
    assert Axis(0.1, 1.0, log=True).holding(3.0) == Axis(0.1, 3.0, log=True)
    assert Axis(2, 5, whole=True).holding(4) == Axis(2, 5, whole=True)
    assert Axis(0.0123456, 1.0).rounded(0.01234) == 0.0123456
    assert Axis(1, 6, whole=True).rounded(5) == 5


def test_it_says_nothing_by_itself(tmp_path, capfd, caplog):
    made(tmp_path / "study", 12)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
