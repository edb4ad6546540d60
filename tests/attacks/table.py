"""All hostile programs. Runs none of them."""

from tests.attacks.attack import Attack
from tests.attacks.followers import FOLLOWERS
from tests.attacks.frames import FORGERIES, LEAVERS
from tests.attacks.lies import LIES
from tests.attacks.limits import LIMITS
from tests.attacks.reaches import REACHES
from tests.attacks.scripts import ASKED, SCRIPTS
from tests.attacks.thefts import THEFTS

ATTACKS: tuple[Attack, ...] = (
    *LIES, *THEFTS, *FORGERIES, *LEAVERS, *LIMITS, *REACHES, *FOLLOWERS, *SCRIPTS, *ASKED,
)  # fmt: skip
