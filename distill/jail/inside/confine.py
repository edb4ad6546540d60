"""Loads a system-call filter for this process and its children, for good.

Used in jails whose maker cannot load one; ``seccomp`` builds the filter.
"""

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
INSTRUCTION_BYTES = 8  # struct sock_filter


def confine(rules: bytes) -> None:
    """Load the filter.

    Raises:
        OSError: the kernel does not accept it.
    """
    import ctypes

    class Program(ctypes.Structure):
        """struct sock_fprog."""

        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(rules) // INSTRUCTION_BYTES, rules)
    unused = [ctypes.c_ulong(0)] * 3
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, *unused) or libc.prctl(
        PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), *unused[:2]
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls")
