from training.figures import short_name


def test_names_beside_a_swarm_are_short_and_plain():
    assert short_name("count|kind=any-engagement|channel=any|topic=own-topic|window=90d") == "count · answers · this topic · 90d"
    assert short_name("recency|kind=letter_open|channel=any|topic=any") == "recency · letter_open"
    assert short_name("attribute|id=tenure|category=owner") == "attribute · tenure · owner"
    assert short_name("topic") == "topic"
