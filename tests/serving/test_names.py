import pytest

from serving.names import closest, expand, workspace_scores

KNOWN = ["affinity:housing", "affinity:schools", "persuadability:rent:story", "persuadability:rent:figures", "persuadability:door:visit"]


def test_every_score_of_the_workspace(made):
    names = workspace_scores(made.workspace.vocabulary)
    assert list(names) == [
        "affinity:housing",
        "affinity:transport",
        "affinity:schools",
        "persuadability:rent:story",
        "persuadability:rent:figures",
        "persuadability:door:visit",
    ]
    assert names["affinity:schools"].model == "affinity"
    assert names["persuadability:rent:story"].model == "persuadability.rent.story"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (["affinity:*"], KNOWN[:2]),
        (["persuadability:rent:*"], KNOWN[2:4]),
        (["persuadability:*"], KNOWN[2:]),
        (["affinity:schools", "affinity:*", "affinity:schools"], ["affinity:schools", "affinity:housing"]),
        (["affinity:none", "persuadability:none:*"], ["affinity:none", "persuadability:none:*"]),
        (["affinity:hous*"], ["affinity:hous*"]),
    ],
)
def test_stars(asked, names):
    assert expand(asked, KNOWN) == names


def test_closest():
    assert closest("affinity:school", KNOWN) == "affinity:schools"
    assert closest("zzz", KNOWN) is None
