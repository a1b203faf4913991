"""How firm a claim is that rests on several others."""

import pytest

from cancellint.model.finding import Confidence, firmest, weakest


@pytest.mark.parametrize("one", Confidence)
def test_a_claim_that_rests_on_one_is_as_firm_as_that(one: Confidence) -> None:
    assert weakest(one) is one
    assert firmest(one) is one


def test_of_several_the_weakest_and_the_firmest_are_taken() -> None:
    assert weakest(Confidence.CERTAIN, Confidence.POSSIBLE, Confidence.LIKELY) is Confidence.POSSIBLE
    assert firmest(Confidence.POSSIBLE, Confidence.CERTAIN, Confidence.LIKELY) is Confidence.CERTAIN
