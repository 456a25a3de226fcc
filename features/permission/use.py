"""What a score is asked for. A use that does not say all of it is refused before anybody is looked at (rule L1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import AfterValidator, Field

from features.vocabulary import Frozen

Purpose = Literal["political_ads", "campaign_messages", "member_information", "fundraising", "service", "research"]
ChannelClass = Literal["online_targeted", "online_member_broadcast", "offline", "aggregate"]
SponsorType = Literal["political_actor", "union", "ngo", "public_body", "company", "individual"]
Jurisdiction = Literal["eu", "fr", "be", "uk", "none"]
Activity = Literal["score", "audience", "export", "training", "activation"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
CHANNEL_CLASSES: tuple[ChannelClass, ...] = get_args(ChannelClass)
SPONSOR_TYPES: tuple[SponsorType, ...] = get_args(SponsorType)
JURISDICTIONS: tuple[Jurisdiction, ...] = get_args(Jurisdiction)
ACTIVITIES: tuple[Activity, ...] = get_args(Activity)

ANY = "any"
"""In the ledger: every purpose, or every channel."""
LedgerPurpose = Literal["any", "political_ads_online", "political_ads", "campaign_messages", "member_information", "fundraising", "service", "research"]
LEDGER_PURPOSES: tuple[LedgerPurpose, ...] = get_args(LedgerPurpose)
"""What something can be said about in the ledger: a purpose that no use asks for would be an objection that forbids nothing."""
_LONGEST = 200


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


Name = Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(_printable)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,99}$")]
"""A name that cannot hold a person's id or an address: it is written into the log, which nobody can change."""


class Form(NamedTuple):
    """What a text may look like that is written where nobody can change it: a pattern (of RE2 and of Python alike) that no address fits, and it in words."""

    pattern: str
    words: str


_NAME = Form(r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$", "a short name: letters and digits, and _ . - between them, at most 64")
FORMS: Mapping[str, Form] = {
    "channel": Form(r"^[a-z][a-z0-9_]{0,62}$", "the id of a channel: small letters, digits and _, beginning with a letter"),
    "legal_basis": _NAME,
    "wording_hash": Form(r"^[A-Za-z0-9:+/=_.\-]{1,128}$", "a hash: letters, digits and : + / = _ . - alone, at most 128"),
    "wording_version": _NAME,
    "language": Form(r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,7}){0,1}$", "the code of a language, such as fr or fr-BE"),
    "election_id": Form(
        r"^[A-Za-z0-9][A-Za-z0-9_. \-]{0,99}$", "the id of an election, which a use can name: letters and digits, and _ . - and spaces between them"
    ),
    "source_id": Form(
        r"^[\p{L}\p{N}][\p{L}\p{N}_. \-]{0,99}$", "a name: letters and digits, and _ . - and spaces between them, at most 100; no id of a person, no address"
    ),
}
"""The texts that enter ledger and log, by column. In Python `source_id` is never matched: its pattern is of RE2 alone."""


class Use(Frozen):
    """One use of scores: what for, how people are reached, on whose behalf, and under which law.

    Parameters
    ----------
    purpose
        `political_ads`: made to influence a vote, an election or a law, or made by or for a political actor. The others are what their names say.
    channel_class
        `online_targeted`: messages or ads to people who were selected, or to all but those who were left out. `online_member_broadcast`: the same
        message to all members or subscribers. `offline`: doors and post. `aggregate`: numbers about groups, nobody in person.
    sponsor_type
        On whose behalf.
    jurisdiction
        Whose law pack decides; `none` where no such law is.
    campaign_id
        The campaign, where there is one; it goes to the register.
    election
        The election that it is for, where there is one: a list of voters serves the election it was issued for alone (rule L14).
    channel
        The channel of audience.toml, where the use has one: consent and objection may be for a channel alone.

    """

    purpose: Purpose
    channel_class: ChannelClass
    sponsor_type: SponsorType
    jurisdiction: Jurisdiction
    campaign_id: Slug | None = None
    election: Slug | None = None
    channel: Name | None = None

    @property
    def political(self) -> bool:
        """Whether the law on political advertising looks at it: by purpose, or because a political actor speaks of anything but a service."""
        return self.purpose == "political_ads" or (self.sponsor_type == "political_actor" and self.purpose != "service")

    @property
    def consent_purpose(self) -> str:
        """The purpose that a consent to this use has in the ledger: `political_ads_online` has to be given apart from all others."""
        online = self.channel_class in {"online_targeted", "online_member_broadcast"}
        return "political_ads_online" if self.political and online else self.purpose
