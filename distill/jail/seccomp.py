"""The system calls that a jail refuses, as a filter for the kernel.

It lists what is refused rather than what is allowed, because any version of Python and libc must
run. System calls newer than the list do not exist in the jail.
"""

import errno
import platform
import struct
from functools import cache

from distill.errors import UserError

# Number on x86_64 (linux/arch/x86/entry/syscalls/syscall_64.tbl) and on aarch64
# (linux/include/uapi/asm-generic/unistd.h); None if there is no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    # large or new parts of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "io_setup": (206, 0),
    "io_submit": (209, 2),
    "io_cancel": (210, 3),
    "io_getevents": (208, 4),
    "io_destroy": (207, 1),
    "vmsplice": (278, 75),
    "remap_file_pages": (216, 234),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    # keys, handles and watches
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    # memory outside every limit
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmdt": (67, 197),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183),
    "mq_notify": (244, 184),
    "mq_getsetattr": (245, 185),
    # messages with descriptors: what two sockets send each other can outlive their program
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # what is sent to a socket with a name or in a queue of connections is charged to no process
    # and stays when the sender has gone; pairs of sockets hold little
    "bind": (49, 200),
    "listen": (50, 201),
    "connect": (42, 203),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "personality": (135, 92),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "ioperm": (173, None),
    "iopl": (172, None),
    "uselib": (134, None),
}
# set_mempolicy_home_node, Linux 5.17: later calls are answered with "no such call".
LAST_KNOWN = 450
# AUDIT_ARCH_* of linux/audit.h, and the column above.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
# (call, (x86_64, aarch64), argument, test, value): refused if the test of the argument holds.
# clone: any CLONE_NEW* flag. socket: all but AF_UNIX. sendto: with an address.
# prlimit64: the limits of another process. setsockopt: SO_SNDBUF, since what is on its way
# between two sockets is charged to no process.
# ioctl: TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR (lasting marks on folders). prctl:
# PR_SET_SECCOMP. mmap: MAP_SHARED with MAP_ANONYMOUS, memory that no process is charged for.
BY_ARGUMENT: tuple[tuple[str, tuple[int, int], int, str, int], ...] = (
    ("clone", (56, 220), 0, "any", 0x7E020000),
    ("socket", (41, 198), 0, "not", 1),
    ("sendto", (44, 206), 5, "not", 0),
    ("prlimit64", (302, 261), 0, "not", 0),
    ("setsockopt", (54, 208), 2, "is", 7),
    ("ioctl", (16, 29), 1, "is", 0x5412),
    ("ioctl", (16, 29), 1, "is", 0x541C),
    ("ioctl", (16, 29), 1, "is", 0x40086602),
    ("ioctl", (16, 29), 1, "is", 0x401C5820),
    ("prctl", (157, 167), 0, "is", 22),
    ("mmap", (9, 222), 3, "all", 0x21),
)
# A lock on a file that the host has too would stop a process of the host. Compilers lock their own
# files where locks are supported.
FLOCK = (73, 32)
CLONE3 = 435  # its flags are behind a pointer, invisible to a filter; libc falls back to clone

# Instructions of linux/bpf_common.h: load a word, jump if equal / greater / any bit, return.
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN, _AND = 0x20, 0x15, 0x25, 0x45, 0x06, 0x54
# linux/seccomp.h; the low half is the errno.
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def _step(code: int, value: int, *, then: int = 0, other: int = 0) -> bytes:
    """One struct sock_filter; ``then`` and ``other`` are steps to skip."""
    return struct.pack("<HBBI", code, then, other, value)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _argument(call: int, which: int, test: str, value: int) -> list[bytes]:
    """Refuse ``call`` by the low half of one argument; leaves the call's number loaded.

    The high half is ignored, because the kernel reads these arguments as 32 bits.
    """
    code = _BITS if test == "any" else _EQUAL
    skip = {"then": 1} if test == "not" else {"other": 1}
    mask = [_step(_AND, value)] if test == "all" else []
    return [
        _step(_EQUAL, call, other=4 + len(mask)),
        _step(_LOAD, 16 + 8 * which),  # struct seccomp_data: nr, arch, instruction pointer, args
        *mask,
        _step(code, value, **skip),
        _refuse(),
        _step(_LOAD, 0),
    ]


@cache
def program(machine: str = platform.machine()) -> bytes:
    """The filter for ``bwrap --seccomp``, for ``machine`` as ``uname -m`` names it.

    Raises:
        UserError: no numbers are known for this machine.
    """
    if machine not in MACHINES:
        text = f"no system-call filter is known for {machine}; next: x86_64 or aarch64"
        raise UserError(text)
    audit, column = MACHINES[machine]
    steps = [
        _step(_LOAD, 4),
        _step(_EQUAL, audit, then=1),
        _step(_RETURN, _KILL),  # another architecture's numbers, by 32-bit entry
        _step(_LOAD, 0),
        _step(_GREATER, LAST_KNOWN, other=1),  # the x32 numbers too
        _refuse(errno.ENOSYS),
        _step(_EQUAL, CLONE3, other=1),
        _refuse(errno.ENOSYS),
        _step(_EQUAL, FLOCK[column], other=1),
        _refuse(errno.EOPNOTSUPP),
    ]
    for _, both, which, test, value in BY_ARGUMENT:
        steps += _argument(both[column], which, test, value)
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [_step(_EQUAL, number, other=1), _refuse()]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])
