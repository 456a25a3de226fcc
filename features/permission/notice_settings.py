"""What only the organisation knows and a public notice or the record of processing has to say: `[notices.…]` and `[processing]` of audience.toml.

Nothing is required: what is left out is said to be missing, and never made up.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from features.vocabulary import Frozen

Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
Link = Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s<>\"']+$")]


class Party(Frozen):
    """An organisation: who it is and how it is reached."""

    name: Text | None = None
    address: Text | None = None
    contact: Text | None = None
    website: Link | None = None


class NoticeSettings(Frozen):
    """`[notices.<campaign_id>]`: what the notice of a campaign needs besides the register (Regulation (EU) 2024/900, articles 12 and 19).

    `amounts` are those paid and other benefits in full, `amounts_computed` how they were worked out. `reporting` says how anybody reports the advertisement,
    `suspension` whether it was suspended or ended for breaking the Regulation. `policy` links the internal policy on targeting.
    """

    sponsor: Party = Party()
    controlling_entity: Party | None = None
    election_or_process: Text | None = None
    funding_origin: Text | None = None
    period_from: date | None = None
    period_until: date | None = None
    amounts: Text | None = None
    amounts_computed: Text | None = None
    repositories: tuple[Link, ...] = ()
    reporting: Text | None = None
    suspension: Text | None = None
    policy: Link | None = None
    rights_contact: Text | None = None

    @model_validator(mode="after")
    def _the_period_has_an_order(self) -> NoticeSettings:
        if self.period_from and self.period_until and self.period_until < self.period_from:
            raise ValueError("period_until lies before period_from")
        return self


class ProcessingSettings(Frozen):
    """`[processing]`: who answers for the processing (GDPR, article 30), and what protects the data besides what this service does."""

    controller: Party = Party()
    representative: Party | None = None
    data_protection_officer: Text | None = None
    security: tuple[Text, ...] = ()
    transfers: Text | None = None
