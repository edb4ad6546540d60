"""All hostile programs. Runs none of them."""

from tests.verify.attacks.attack import Attack
from tests.verify.attacks.followers import FOLLOWERS
from tests.verify.attacks.frames import FORGERIES, LEAVERS
from tests.verify.attacks.lies import LIES
from tests.verify.attacks.limits import LIMITS
from tests.verify.attacks.reaches import REACHES
from tests.verify.attacks.scripts import ASKED, SCRIPTS
from tests.verify.attacks.thefts import THEFTS

ATTACKS: tuple[Attack, ...] = (
    *LIES, *THEFTS, *FORGERIES, *LEAVERS, *LIMITS, *REACHES, *FOLLOWERS, *SCRIPTS, *ASKED,
)  # fmt: skip
