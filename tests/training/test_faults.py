import pytest

from models.columns import ColumnsError
from training.faults import FitError, in_words, told_names


def test_what_an_estimator_says_becomes_a_fault_of_the_training():
    with pytest.raises(FitError, match="both arms"), in_words():
        raise ValueError("an effect needs both arms")


@pytest.mark.parametrize("error", [ColumnsError("other columns"), KeyError("x")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)), in_words():
        raise error


def test_names_that_may_be_people_s_are_counted_only():
    assert told_names([]) == "none"
    assert told_names(["call", "letter"]) == "call, letter"
    assert told_names(["call", "van:1", "ann@example.org"]) == "call, 2 others"
    assert told_names([f"arm{number}" for number in range(12)]).endswith("arm9, 2 others")
