"""What may not be aimed at: keeping people from taking part. Refused where an experiment is declared, so that no model or audience of it can exist.

Rule L30 of the law tables: outcomes may only be declared so that taking part counts as good. The words below are what declared names and texts are
looked through for; they cannot see an intention that is not written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

AGAINST = (
    r"not_?vot\w*|no_?vot\w*|non_?vot\w*|stay(ing|s|ed)?_?(at_?)?home|abst(ain|ention|inen|iens|enir|entie)\w*|deter(s|red|ring|rence|rent)?|suppress\w*"
    r"|voter_?suppression|demobili[sz]\w*|discourag\w*|dissua\w*|decourag\w*|ontmoedig\w*|afschrik\w*|thuisblijv\w*|niet_?stemm\w*|ne_?pas_?voter"
)
"""In English, French and Dutch: names of keeping people away."""
TAKING_PART = (
    r"vot(e|es|ed|ing)?|voter|turn(ed)?_?out|participat\w*|regist(er|ered|ration)|signed|sign|signature|pledge\w*|attend\w*|attendance|donat\w*|volunteer\w*|join(ed|s)?"
    r"|repl(y|ied|ies)|answer\w*|engag\w*|opkomst|stem(men|de)?|deelname|inscri\w*|presence|presen[ct]\w*|don|dons|reponse\w*"
)
"""Names of taking part: an outcome of such a name cannot be declared better when it is lower, unless it measures the way there."""
LEAVING = (
    rf"(?:did_?n_?t|did_not|does_not|do_not|has_not|will_not|won_?t|not|no|non|never|niet|geen|pas)_(?:{TAKING_PART})|no_?shows?"
    r"|unsubscri\w*|unregist\w*|(voter_)?deregist\w*|desabonn\w*|desinscri\w*|uitgeschr\w*|uitschrijv\w*|afgemeld\w*|opt(ed)?_?out|churn\w*|resign\w*|opgezegd"
)
"""Names of leaving, and of not taking part: an outcome of such a name cannot be declared better when it is higher."""
MEASURED = r"days|hours|weeks|minutes|time|delay|cost|jours|heures|delai|dagen|uren|tijd|kosten"


def demobilising(outcome: str, engagement: Literal["higher", "lower"], texts: Iterable[str]) -> str | None:
    """Return why an experiment with this outcome, direction of engagement, and names and labels is refused, or None."""
    for text in (outcome, *texts):
        found = _first(AGAINST, text)
        if found:
            return f"{text!r} speaks of keeping people from taking part ({found}); an outcome is declared so that taking part counts as good (rule L30)"
    left, part = _first(LEAVING, outcome), _first(TAKING_PART, outcome)
    if engagement == "higher" and left:
        return f"outcome = {outcome!r} is not taking part ({left}), and engagement = 'higher' would make more of it the aim: declare it 'lower' (rule L30)"
    if engagement == "lower" and part and not left and not _first(MEASURED, outcome):
        return f"outcome = {outcome!r} is taking part ({part}), and engagement = 'lower' would make fewer of it the aim: that is refused (rule L30)"
    return None


def _first(words: str, text: str) -> str | None:
    plain = re.sub(r"[^a-z0-9]+", "_", _unaccented(text.lower()))
    found = re.search(rf"(?:^|_)({words})(?=_|$)", plain)
    return found[1].replace("_", " ") if found else None


def _unaccented(text: str) -> str:
    return text.translate(str.maketrans("àâäéèêëîïôöùûüç", "aaaeeeeiioouuuc"))
