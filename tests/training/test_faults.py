import pytest

from models.columns import ColumnsError
from training.faults import FitError, in_words


def test_what_an_estimator_says_becomes_a_fault_of_the_training():
    with pytest.raises(FitError, match="both arms"), in_words():
        raise ValueError("an effect needs both arms")


@pytest.mark.parametrize("error", [ColumnsError("other columns"), KeyError("x")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)), in_words():
        raise error
