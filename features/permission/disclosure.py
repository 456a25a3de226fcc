"""Rule L11: what an organisation holds of people by their tie with it (GDPR, article 9(2)(d)) never leaves it without their explicit consent (pure)."""

from __future__ import annotations

import numpy as np

from features.permission.decision import Decisions
from features.permission.facts import Flags
from features.permission.packs import Texts

RULE, CODE = "L11", "disclosure_without_consent"
TEXT = Texts(
    en="This person is held as a member or regular contact, and has not agreed explicitly to their data being passed on to another organisation.",
    fr="Cette personne figure ici comme membre ou contact régulier, et n'a pas consenti expressément à ce que ses données soient transmises à un tiers.",
    nl="Deze persoon staat hier als lid of regelmatig contact, en stemde niet uitdrukkelijk in met het doorgeven van de gegevens aan een andere organisatie.",
)


def held_back(decisions: Decisions) -> Flags:
    """Return who (n,) of those that are allowed stands on a tie alone, and is left out of what goes to another controller.

    That is whoever has no live explicit consent, where a rule in force asks for that or a tie (L9). Under a law pack without such a rule it is nobody.
    """
    ties = any(
        rule.check == "no_art9_basis" and rule.parameters.get("statuses") and rule.applies(decisions.use, decisions.activity, special=False)
        for rule in decisions.rules
    )
    return decisions.allowed & ~decisions.explicit if ties else np.zeros(len(decisions), dtype=np.bool_)
