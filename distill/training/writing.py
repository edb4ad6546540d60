"""Writing tensors: which errors it ends with, and a full disk in the words of each library."""

import errno
import re
from collections.abc import Callable

from distill.errors import first_line

CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk, quota, limit of a file's size
# safetensors gives the number; torch only says that the file is shorter than what it wrote
SAID = re.compile(
    rf"os error ({'|'.join(map(str, CODES))})\b|inline_container\.cc:\d+\] \. unexpected pos"
)


def is_full(error: BaseException | None) -> bool:
    """Whether something could not be written because there was no room for it."""
    return getattr(error, "errno", None) in CODES or SAID.search(str(error)) is not None


def why(error: BaseException) -> str:
    """Half a sentence: why something could not be written."""
    return "there is no room on the disk" if is_full(error) else first_line(error)


def failure_of(write: Callable[[], object]) -> Exception | None:
    """Calls ``write``; the error if there was no space, or no permission.

    Raises:
        torch.OutOfMemoryError: it is no matter of the disk.
    """
    from safetensors import SafetensorError
    from torch import OutOfMemoryError

    try:
        write()
    except OutOfMemoryError:
        raise
    except (OSError, RuntimeError, SafetensorError) as error:
        return error
    return None
