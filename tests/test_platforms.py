"""What only Unix has stands in one file: no import, call, signal or path of it elsewhere."""

import ast

import pytest
from runs import ROOT

ONE_FILE = ROOT / "evolution" / "system.py"
FOLDERS = [ROOT, *(file.parent for pattern in ("*/__init__.py", "*/*/__init__.py") for file in ROOT.glob(pattern))]
PROGRAM = sorted(file for folder in FOLDERS if folder != ROOT / "benchmarks" for file in folder.glob("*.py"))
MODULES = {"ctypes", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
# What Python's documentation says is not there on Windows.
NOT_THERE = {
    "os": """chown chroot ctermid fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid
        getpgrp getpriority getresuid getsid getuid killpg lchown major makedev minor mkfifo mknod nice openpty pathconf
        pipe2 posix_fadvise posix_spawn pread pwrite readv sched_getaffinity sched_setaffinity sendfile setegid seteuid
        setgid setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp ttyname uname wait wait3 wait4 waitid
        WIFEXITED WEXITSTATUS WNOHANG O_NONBLOCK O_CLOEXEC O_DIRECTORY O_TMPFILE EX_USAGE""",
    "signal": """SIGHUP SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGCONT SIGPIPE SIGSTOP SIGTSTP SIGXCPU SIGXFSZ
        SIG_BLOCK SIG_UNBLOCK SIG_SETMASK alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt
        sigpending sigtimedwait sigwait sigwaitinfo""",
    "socket": "AF_UNIX socketpair sethostname",
    "multiprocessing": "resource_tracker",
}
ATTRIBUTES = {(module, name) for module, names in NOT_THERE.items() for name in names.split()}
PATHS = ("/bin/", "/dev/", "/etc/", "/opt/", "/proc/", "/sys/", "/tmp", "/usr/", "/var/")


def of_unix(tree: ast.AST) -> list[str]:
    """What the code imports, asks for, hands on or names that Windows does not have, with its line."""
    found = []
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [(node.module, alias.name) for alias in node.names]
            found += [(node, name) for module, name in names if module in MODULES or (module, name) in ATTRIBUTES]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [(node, node.attr)] if (node.value.id, node.attr) in ATTRIBUTES else []
        elif isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "pass_fds"):
            ours = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "end_with"
            found += [] if ours else [(node.value, node.arg)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found += [(node, node.value)] if node.value.startswith(PATHS) else []
    return [f"{node.lineno}: {name}" for node, name in found]


@pytest.mark.parametrize("file", PROGRAM, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_only_unix_has_stands_in_one_file(file):
    found = of_unix(ast.parse(file.read_text(encoding="utf-8")))
    assert bool(found) == (file == ONE_FILE), found


def test_what_only_unix_has_is_seen():
    lines = ["import fcntl", "from os import fork", "from resource import getrlimit", "os.killpg(1, signal.SIGKILL)"]
    lines += ["open('/dev/null')", "run(preexec_fn=f)", "run(preexec_fn=end_with(1))", "os.getpid()", "'/dev/null'"]
    found = [line.partition(":")[0] for line in of_unix(ast.parse("\n".join(lines)))]
    assert sorted(found) == ["1", "2", "3", "4", "4", "5", "6"]
