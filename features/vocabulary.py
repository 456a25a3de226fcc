"""What one organisation's words mean: kinds, channels, topics, attributes, windows and experiments.

They come from the workspace's `audience.toml`, never from code, so that five elections over six years fit as well as two years
of e-mails. Everything here is frozen and checked at construction; an unknown key is refused with a hint.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import zoneinfo
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.arms import arm_key, arms_alike
from features.demobilisation import demobilising
from features.permission import source_types
from features.permission.retention import Retention
from features.permission.special_columns import by_content, by_name

LANGUAGES = ("en", "fr", "nl")
Language = Literal["en", "fr", "nl"]
Sensitivity = Literal["ordinary", "special"]
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")


_GROUPS = ("kinds", "channels", "topics", "attributes", "source_types", "experiments")


class VocabularyError(ValueError):
    """`audience.toml` says something that cannot be used; the message names the key, the value given and what is allowed."""


class Frozen(BaseModel):
    """A value that cannot change and has no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _pair(value: object) -> object:
    """One word stands for singular and plural alike."""
    return (value, value) if isinstance(value, str) else value


Noun = Annotated[tuple[str, str], BeforeValidator(_pair)]


class Labels(Frozen):
    """A name in the languages people are answered in; English stands in for a language that is missing."""

    en: str
    fr: str | None = None
    nl: str | None = None

    def label(self, language: Language = "en") -> str:
        """Return the name in `language`, or in English where there is none."""
        return getattr(self, language) or self.en


class Kind(Frozen):
    """A kind of interaction, such as `letter_open`; `en`, `fr`, `nl` hold its noun, one and many ("letter opened", "letters opened").

    `engagement`: it counts as an answer. `answers`: the kinds of messages it is an answer to. `declares`: the person states an interest
    in the topic, `value` telling how strong (1 where it is empty).
    """

    id: str
    direction: Literal["in", "out"]
    engagement: bool = False
    answers: tuple[str, ...] = ()
    declares: bool = False
    unit: str | None = None
    en: Noun
    fr: Noun | None = None
    nl: Noun | None = None

    @model_validator(mode="after")
    def _what_is_sent_says_nothing_of_the_person(self) -> Kind:
        for key in ("engagement", "answers", "declares"):
            if getattr(self, key) and self.direction == "out":
                raise ValueError(f"{key} needs direction = 'in': what is sent to a person is not an answer")
        return self

    def noun(self, count: float, language: Language = "en") -> str:
        """Return the noun for `count`; French keeps the singular below two, the others only for one."""
        one, many = getattr(self, language) or self.en
        singular = abs(count) < 2 if language == "fr" else count == 1
        return one if singular else many


class Channel(Labels):
    """A way interactions travel: `email`, `door`, `post`, `sms`, `event`, `web`."""

    id: str


class Classed(Labels):
    """What has a sensitivity, with who classed it and why."""

    sensitivity: Sensitivity = "ordinary"
    classed_by: str | None = None
    why: str | None = None

    @property
    def is_classed(self) -> bool:
        """Whether a named person has said, with a reason, what its sensitivity is."""
        return bool(self.classed_by and self.classed_by.strip() and self.why and self.why.strip())


class Topic(Classed):
    """A topic of the organisation's controlled list."""

    id: str
    parent: str | None = None

    def is_special(self, *, political_actor: bool) -> bool:
        """Return whether it is special; on behalf of a political actor it is until a named person recorded why not (rule L5)."""
        return self.sensitivity == "special" or (political_actor and not self.is_classed)


class SourceType(Labels):
    """A `type` of the table `sources` that vectors tell apart: `petition`, `event`, `membership`."""

    id: str


class Attribute(Classed):
    """An extra column of `people`: a number, or one of the `categories`.

    What tells of a special category (rule L15) by its name is refused unless it is `special` and a named person says why it is held; by its
    categories alone, that person may also say why it is `ordinary`. A special one is in no vector, and so in no model, without `in_models`.
    """

    id: str
    type: Literal["numeric", "category"]
    unit: str | None = None
    categories: tuple[str, ...] = ()
    in_models: bool | None = None

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Attribute:
        if (self.type == "category") != bool(self.categories):
            raise ValueError("an attribute of type 'category' lists its `categories`, a numeric one has none")
        if self.in_models is not None and self.sensitivity == "ordinary":
            raise ValueError("in_models is asked of attributes with sensitivity = 'special' alone; ordinary ones are in models: leave it out")
        return self

    @model_validator(mode="after")
    def _what_is_special_says_so(self) -> Attribute:
        labels = filter(None, (self.id, self.en, self.fr, self.nl))
        named = next((category for label in labels if (category := by_name(label)) is not None), None)
        told = named or by_content(dict.fromkeys(self.categories, 1))
        if told is None or (self.is_classed and (self.sensitivity == "special" or named is None)):
            return self
        how = "name tells" if named is not None else "categories tell"
        raise ValueError(
            f"its {how} of {told} (rule L15, special_category_column): remove it and import with --drop {self.id}, or, if the organisation may hold"
            " this, say sensitivity = 'special', classed_by = the person who answers for it, and why = the ground in GDPR, article 9(2)"
            + ("" if named is not None else "; if they only look that way, classed_by and why it is ordinary")
        )


class Experiment(Labels):
    """A randomised message experiment: which arm is the control, which outcome is read, and what each arm says."""

    id: str
    control: str = "control"
    outcome: str
    engagement: Literal["higher", "lower"]
    arms: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _it_says_which_way_is_engagement(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "outcome" in given and "engagement" not in given:
            raise ValueError(f"say engagement = 'higher' if more of {given['outcome']!r} means that people take part more, or 'lower' if it means less")
        return given

    @model_validator(mode="after")
    def _nobody_is_kept_from_taking_part(self) -> Experiment:
        why = demobilising(self.outcome, self.engagement, [self.id, *self.arms, *self.arms.values(), *filter(None, (self.en, self.fr, self.nl))])
        if why is not None:
            raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _each_arm_has_a_model_of_its_own(self) -> Experiment:
        alike = arms_alike([arm for arm in self.arms if arm != self.control])
        if alike:
            raise ValueError(
                f"arms {' and '.join(map(repr, alike))} would have one model, {arm_key(alike[0])!r}: capitals do not count in its name, and what is none of "
                "a-z, 0-9 and _ is written _. Hint: names that differ in a-z, 0-9 or _"
            )
        return self


class Vocabulary(Frozen):
    """Everything `audience.toml` says about the data.

    `political_online`: one of its uses picks people online on behalf of a political actor.
    """

    kinds: tuple[Kind, ...]
    channels: tuple[Channel, ...]
    topics: tuple[Topic, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    source_types: tuple[SourceType, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    windows_days: tuple[int, ...] = (7, 30, 90, 365)
    half_lives_days: tuple[int, ...] = (7, 30, 180)
    timezone: str = "UTC"
    leave_out: tuple[str, ...] = ()
    retention: Retention = Field(default_factory=Retention)
    political_online: bool = False

    @model_validator(mode="after")
    def _ids_are_well_formed(self) -> Vocabulary:
        for group in _GROUPS:
            for item in getattr(self, group):
                if not _IDENTIFIER.fullmatch(item.id):
                    raise ValueError(f"[{group}.{item.id}]: an id is made of a-z, 0-9 and _, starts with a letter and has at most 63 characters")
        if not self.kinds or not self.channels:
            raise ValueError("at least one [kinds.…] and one [channels.…] are needed")
        return self

    @model_validator(mode="after")
    def _what_is_referred_to_is_there(self) -> Vocabulary:
        known = {topic.id for topic in self.topics}
        for topic in self.topics:
            if topic.parent is not None and (topic.parent not in known or topic.parent == topic.id):
                raise ValueError(f"[topics.{topic.id}] parent = {topic.parent!r} is not another topic{_did_you_mean(topic.parent, known)}")
        sent = {kind.id for kind in self.kinds if kind.direction == "out"}
        for kind in self.kinds:
            for answered in kind.answers:
                if answered not in sent:
                    raise ValueError(f"[kinds.{kind.id}] answers {answered!r}, which is not a kind with direction = 'out'{_did_you_mean(answered, sent)}")
        kinds = {kind.id for kind in self.kinds}
        for kept in self.retention.kinds:
            if kept not in kinds:
                raise ValueError(f"[retention.kinds] {kept!r} is not among [kinds]{_did_you_mean(kept, kinds)}")
        for kept in self.retention.source_types:
            self._check_source_type(kept)
        return self

    def _check_source_type(self, word: str) -> None:
        """Raise ValueError for a limit of a type of source that is written otherwise: no row would ever have it.

        Other words are free, as they are in the table `sources`: whether any source has them, `audience vectors` and `audience purge` say.
        """
        meant, declared = source_types.written(word), {item.id for item in self.source_types}
        if meant != word:
            raise ValueError(f"[retention.source_types] {word!r} is another word for {meant!r}, which sources are stored with: write that one")
        known = declared | set(source_types.LAW)
        if word not in known and difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.8):
            raise ValueError(f"[retention.source_types] {word!r} is neither among [source_types] nor a type of the law{_did_you_mean(word, known)}")

    @model_validator(mode="after")
    def _times_are_well_formed(self) -> Vocabulary:
        if self.timezone != "UTC" and self.timezone not in zoneinfo.available_timezones():
            raise ValueError(f"[features] timezone = {self.timezone!r} is not a zone such as 'Europe/Brussels' or 'UTC'")
        for key in ("windows_days", "half_lives_days"):
            days = getattr(self, key)
            if list(days) != sorted(set(days)) or any(day < 1 for day in days):
                raise ValueError(f"[features] {key} = {list(days)}: whole days of at least 1, rising, each once")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with these changes, which knows nothing of what the original has worked out of itself."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied

    def kind(self, identifier: str) -> Kind:
        """Return the kind of that id; raises KeyError."""
        return self._kinds[identifier]

    def topic(self, identifier: str) -> Topic:
        """Return the topic of that id; raises KeyError."""
        return self._topics[identifier]

    def channel(self, identifier: str) -> Channel:
        """Return the channel of that id; raises KeyError."""
        return self._channels[identifier]

    def attribute(self, identifier: str) -> Attribute:
        """Return the attribute of that id; raises KeyError."""
        return self._attributes[identifier]

    def experiment(self, identifier: str) -> Experiment:
        """Return the experiment of that id; raises VocabularyError with a hint."""
        for experiment in self.experiments:
            if experiment.id == identifier:
                return experiment
        known = {experiment.id for experiment in self.experiments}
        allowed = ", ".join(sorted(known)) or "none is declared"
        raise VocabularyError(f"experiment {identifier!r} is not in audience.toml (there: {allowed}){_did_you_mean(identifier, known)}")

    @property
    def topic_ids(self) -> tuple[str, ...]:
        """The topics' ids, in the order of the file."""
        return tuple(topic.id for topic in self.topics)

    def answers_to(self, sent: str) -> tuple[str, ...]:
        """Return the kinds that answer the kind of message `sent`."""
        return tuple(kind.id for kind in self.kinds if sent in kind.answers)

    def source_type(self, identifier: str) -> SourceType:
        """Return the source type of that id; raises KeyError."""
        return self._source_types[identifier]

    @property
    def engagement_kinds(self) -> tuple[str, ...]:
        """The kinds that count as a person's answer."""
        return tuple(kind.id for kind in self.kinds if kind.engagement)

    @cached_property
    def withheld(self) -> tuple[str, ...]:
        """The topics that online targeting may not see, in the order of the file: rows about them are in no own vector (rule L4)."""
        return tuple(topic.id for topic in self.topics if topic.is_special(political_actor=self.political_online))

    @cached_property
    def withheld_attributes(self) -> tuple[str, ...]:
        """The attributes of special sensitivity, which are unknown of everybody in own vectors (rule L4)."""
        return tuple(attribute.id for attribute in self.attributes if attribute.sensitivity == "special")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that the vocabulary says, labels included, of how long rows count and of what online targeting may not see."""
        said = self.model_dump(mode="json", exclude={"retention", "political_online"})
        more = {"retention": self.retention.limits, "withheld": self.withheld, "withheld_attributes": self.withheld_attributes}
        said |= {name: value for name, value in more.items() if value}
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _kinds(self) -> dict[str, Kind]:
        return {kind.id: kind for kind in self.kinds}

    @cached_property
    def _topics(self) -> dict[str, Topic]:
        return {topic.id: topic for topic in self.topics}

    @cached_property
    def _channels(self) -> dict[str, Channel]:
        return {channel.id: channel for channel in self.channels}

    @cached_property
    def _source_types(self) -> dict[str, SourceType]:
        return {item.id: item for item in self.source_types}

    @cached_property
    def _attributes(self) -> dict[str, Attribute]:
        return {attribute.id: attribute for attribute in self.attributes}


def _did_you_mean(given: str, known: set[str]) -> str:
    close = difflib.get_close_matches(given, sorted(known), n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def parse_vocabulary(document: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary of a parsed `audience.toml`, whose `[kinds.x]` tables become `Kind(id="x", …)`.

    `document` holds the groups `kinds`, `channels`, `topics`, `attributes`, `source_types`, `experiments`, `features` and `retention`; of `uses` it is looked
    up whether one is for a political actor online, and other keys are the workspace's own and are left alone. Raises VocabularyError, one line per fault.
    """
    fields: dict[str, Any] = dict(document.get("features", {}))
    for group in _GROUPS:
        items = document.get(group, {})
        if not isinstance(items, Mapping) or not all(isinstance(item, Mapping) for item in items.values()):
            raise VocabularyError(f"audience.toml: [{group}] holds tables such as [{group}.example], given {items!r}")
        fields[group] = tuple({"id": identifier, **item} for identifier, item in items.items())
    fields["retention"] = document.get("retention", {})
    fields["political_online"] = _political_online(document.get("uses"))
    try:
        return Vocabulary(**fields)
    except ValidationError as error:
        raise VocabularyError("\n".join(_fault(fault, fields) for fault in error.errors())) from None


def _political_online(uses: object) -> bool:
    """Return whether one of the `[uses.…]` is for a political actor online; what else is wrong with them, `features.permission.settings` says."""
    stated = [use for use in uses.values() if isinstance(use, Mapping)] if isinstance(uses, Mapping) else []
    return any((use.get("sponsor_type"), use.get("channel_class")) == ("political_actor", "online_targeted") for use in stated)


def _fault(fault: Any, fields: Mapping[str, Any]) -> str:
    path = list(fault["loc"])
    if len(path) > 1 and path[0] in _GROUPS and isinstance(path[1], int):
        path[1] = fields[path[0]][path[1]]["id"]
    where = "".join(f"{part}." for part in path)[:-1] + ": " if path else ""
    given = "" if fault["type"] in {"missing", "value_error"} else f" (given: {fault['input']!r})"
    hint = ""
    if fault["type"] == "extra_forbidden" and path and path[0] in (*_GROUPS, "retention"):
        model: Any = Vocabulary.model_fields[path[0]].annotation  # of a group `tuple[Kind, ...]`
        allowed = set((get_args(model) or [model])[0].model_fields) - {"id"}
        hint = f"; allowed: {', '.join(sorted(allowed))}{_did_you_mean(str(path[-1]), allowed)}"
    return f"audience.toml: {where}{fault['msg'].removeprefix('Value error, ')}{given}{hint}"
