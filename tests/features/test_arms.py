from features.arms import arm_key, arms_alike, persuadability_model


def test_arms_become_registered_names():
    assert arm_key("Civic Duty-2") == "civic_duty_2"
    assert persuadability_model("rent", "Civic Duty-2") == "persuadability.rent.civic_duty_2"
    assert persuadability_model("story", "Tenant's Letter") == "persuadability.story.tenant_s_letter"


def test_arms_of_one_name_are_told():
    assert arms_alike(["card", "lettre é", "lettre è"]) == ("lettre é", "lettre è")
    assert arms_alike(["card", "letter"]) == ()
