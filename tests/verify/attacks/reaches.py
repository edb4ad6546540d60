"""Programs that look for something of the host, or change it; they are right if they find it."""

from tests.verify.attacks.attack import Attack, reach

_PROCESSES = """
for pid in pathlib.Path('/proc').iterdir():
    if pid.name.isdigit():
        try:
            if b'@CANARY@' in (pid / '{name}').read_bytes():
                return True
        except OSError:
            pass
return False
"""
_CALL = """
libc.syscall.restype = ctypes.c_long
return libc.syscall({arguments}) >= 0
"""


def _calls(name: str, arguments: str) -> Attack:
    return reach(name, _CALL.format(arguments=arguments))


REACHES = (
    reach("reads_a_file", "return '@CANARY@' in open('@FILE@').read()", outside=True),
    reach(
        "reads_by_the_root_of_itself",
        "return '@CANARY@' in open('/proc/self/root@FILE@').read()",
        outside=True,
    ),
    reach(
        "reads_by_the_root_of_the_first", "return '@CANARY@' in open('/proc/1/root@FILE@').read()"
    ),
    reach(
        "reads_by_dots",
        "return '@CANARY@' in open('../' * 40 + '@FILE@'.lstrip('/')).read()",
        outside=True,
    ),
    reach(
        "reads_by_a_link",
        "os.symlink('@FILE@', 'link')\ntry:\n    return '@CANARY@' in open('link').read()\n"
        "finally:\n    os.unlink('link')",
        outside=True,
    ),
    reach(
        "reads_by_a_hard_link",
        "os.link('@FILE@', 'link')\nreturn '@CANARY@' in open('link').read()",
    ),
    reach(
        "reads_by_a_descriptor",
        "for fd in range(256):\n    try:\n"
        "        inner = os.open('../../../../../../../@FILE@'.replace('//', "
        "'/'), os.O_RDONLY, dir_fd=fd)\n"
        "    except OSError:\n        continue\n    return b'@CANARY@' in os.read(inner, 999)\n"
        "return False",
    ),
    reach("lists_the_folder", "return 'canary' in os.listdir('@FOLDER@')", outside=True),
    reach("reads_secrets_of_the_system", "return bool(open('/etc/shadow').read())"),
    reach(
        "finds_a_home",
        "return any(os.path.exists(p) for p in ('/root', '/home', '/etc', '/var', '/sys', '/run'))",
    ),
    reach(
        "finds_the_checkout",
        "import importlib\nreturn bool(importlib.util.find_spec('distill.verify'))",
    ),
    reach("reads_its_environment", "return '@CANARY@' in str(os.environ) or len(os.environ) > 6"),
    reach("reads_all_environments", _PROCESSES.format(name="environ"), outside=True),
    reach("reads_all_command_lines", _PROCESSES.format(name="cmdline"), outside=True),
    reach("reads_all_mounts", _PROCESSES.format(name="mountinfo")),
    reach(
        "sees_a_process_of_the_host",
        "return os.path.exists('/proc/@PID@/stat') and int('@PID@') > 40",
        outside=True,
    ),
    reach(
        "signals_a_process_of_the_host",
        "os.kill(int('@PID@'), 0)\nreturn int('@PID@') > 40",
        outside=True,
    ),
    reach("reads_the_memory_of_the_first", "return bool(open('/proc/1/mem', 'rb'))"),
    reach("reads_the_maps_of_its_parent", "return bool(open(f'/proc/{os.getppid()}/maps').read())"),
    reach("reads_by_a_task_of_the_first", "return bool(os.listdir('/proc/1/task/1/fd'))"),
    reach(
        "connects", "socket.create_connection(('127.0.0.1', @PORT@), 1)\nreturn True", outside=True
    ),
    reach(
        "sends_a_datagram",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', "
        "('127.0.0.1', @PORT@))\nreturn True",
    ),
    reach(
        "connects_by_name",
        "socket.socket(socket.AF_UNIX).connect('\\0@CANARY@')\nreturn True",
        outside=True,
    ),
    reach(
        "connects_by_a_file",
        "socket.socket(socket.AF_UNIX).connect('@FOLDER@/socket')\nreturn True",
    ),
    reach("opens_a_raw_socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nreturn True"),
    reach(
        "opens_a_netlink_socket", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nreturn True"
    ),
    reach("opens_a_virtual_machine_socket", "socket.socket(40, socket.SOCK_STREAM)\nreturn True"),
    reach(
        "writes_somewhere",
        "for folder in ('@FOLDER@', '/', '/usr', '/usr/lib', "
        "'/python/lib', '/etc', '/dev', '/proc/sys/kernel'):\n"
        "    try:\n        open(folder + '/written', "
        "'w').close()\n    except OSError:\n        continue\n"
        "    return True\nreturn False",
    ),
    reach(
        "changes_the_kernel",
        "for path in ('sys/kernel/core_pattern', 'sysrq-trigger', "
        "'sys/vm/drop_caches', '1/oom_score_adj'):\n"
        "    try:\n        os.open('/proc/' + path, "
        "os.O_WRONLY)\n    except OSError:\n        continue\n"
        "    return True\nreturn False",
    ),
    reach(
        "changes_the_interpreter",
        "for path in (sys.executable, os.__file__, "
        "'/usr/lib'):\n    try:\n        os.chmod(path, 0o777)\n"
        "    except OSError:\n        continue\n    return True\nreturn False",
    ),
    reach(
        "opens_a_device",
        "return any(os.path.exists('/dev/' + n) for n in ('mem', "
        "'kmsg', 'sda', 'vda', 'fuse', 'kvm', 'ptmx', 'tty'))",
    ),
    reach("makes_a_device", "os.mknod('/tmp/null', 0o20666, os.makedev(1, 3))\nreturn True"),
    reach("becomes_root", "os.setuid(0)\nreturn True"),
    reach("becomes_somebody", "os.setresgid(1000, 1000, 1000)\nreturn True"),
    reach("changes_the_root", "os.chroot('/tmp')\nreturn True"),
    reach("renames_the_machine", "socket.sethostname('mine')\nreturn True"),
    _calls("attaches_to_the_first", "101, 16, 1, 0, 0"),
    _calls("is_traced", "101, 0, 0, 0, 0"),
    _calls("makes_namespaces", "272, 0x10000000 | 0x20000"),
    _calls("clones_into_a_namespace", "56, 0x10000000 | 17, 0, 0, 0, 0"),
    _calls("clones_by_the_younger_call", "435, 0, 88"),
    _calls("mounts", "165, b'none', b'/tmp', b'tmpfs', 0, 0"),
    _calls("makes_a_ring", "425, 8, ctypes.create_string_buffer(256)"),
    _calls("loads_a_program_into_the_kernel", "321, 0, ctypes.create_string_buffer(128), 128"),
    _calls("makes_a_key", "248, b'user', b'k', b'v', 1, -3"),
    _calls("makes_shared_memory", "29, 0, 4096, 0o1666"),
    _calls("makes_a_file_without_a_folder", "319, b'x', 0"),
    _calls("watches_files", "294, 0"),
    _calls("changes_the_clock", "227, 0, ctypes.create_string_buffer(16)"),
    _calls("steals_a_descriptor", "438, libc.syscall(434, 1, 0), 0, 0"),
    _calls("limits_the_first", "302, 1, 7, ctypes.create_string_buffer(16), 0"),
    _calls("uses_the_numbers_of_x32", "0x40000000 | 39"),
    reach(
        "kills_the_first", "os.kill(1, signal.SIGKILL)\ntime.sleep(0.05)\nreturn os.getppid() != 1"
    ),
    reach(
        "stops_the_first",
        "os.kill(1, signal.SIGSTOP)\ntime.sleep(0.05)\nreturn 'T' in open('/proc/1/stat').read()",
    ),
    reach(
        "wakes_the_first_all_the_time",
        "for _ in range(20_000):\n    os.kill(1, signal.SIGCHLD)\nreturn False",
    ),
    reach("raises_its_priority", "os.nice(-5)\nreturn True"),
)
