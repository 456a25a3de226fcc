"""Whether the register of targeting use is whole: by its own chain, and by the checkpoints that say where it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from features.database.store import Store
from features.permission.register import Register
from serving.checkpoints import Checkpoint


@dataclass(frozen=True, slots=True)
class RegisterVerification:
    """How many entries there are, how many checkpoints agree, and what does not hold."""

    entries: int
    checkpoints: int
    bad: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad is None

    def words(self) -> Iterator[str]:
        """Yield the result in sentences; none where there is no register yet, and none was known."""
        if self.bad is not None:
            yield f"the register does not hold: {self.bad}"
        elif self.entries:
            yield f"{self.entries:,} entries of the register hold; {self.checkpoints:,} checkpoints agree with them"


def verify_register(store: Store, secret: bytes, checkpoints: Iterable[Checkpoint] = ()) -> RegisterVerification:
    """Read the register from its first entry to its last and say whether it is whole; `secret` is the workspace's signing key. Raises StoreError."""
    register = Register(store, secret)
    try:
        broken = register.first_break()
    except (TypeError, ValueError) as error:  # somebody may have put in what is no time or no text
        return RegisterVerification(0, 0, f"an entry holds what cannot stand in it ({type(error).__name__})")
    if broken is not None:
        return RegisterVerification(0, 0, f"entry {broken} was changed, or entries were put in, taken out or moved before it")
    agreed = 0
    for stated in sorted(checkpoints, key=lambda checkpoint: checkpoint.at):
        if stated.register is None:
            continue
        if register.link_of(stated.register) != stated.register_link:
            return RegisterVerification(
                0, agreed, f"entry {stated.register} is not the one of the checkpoint of {stated.at:%Y-%m-%d %H:%M:%S} UTC, or was cut off"
            )
        agreed += 1
    return RegisterVerification(register.count(), agreed)
