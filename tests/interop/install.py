"""What the peers need, from Debian's packages, PyPI and the npm registry, and from nowhere else.

Debian's packages are installed on the machine, and only where this runs as root, or in CI by sudo; everything else goes
below target/interop.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """A peer cannot be had here."""


def command(argv, **options):
    """Runs a command whose output matters only if it fails."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=600, check=False, **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{argv[0]}: {error}") from None
    if done.returncode != 0:
        last = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise Missing(f"{' '.join(map(str, argv))}: {last}")
    return done.stdout


def debian(**packages):
    """Has the packages on the machine. Each is named with a file or program by which it is known."""
    named = {name.replace("_", "-"): sign for name, sign in packages.items()}
    lacking = [name for name, sign in named.items() if not (shutil.which(sign) or os.path.exists(sign))]
    if not lacking:
        return
    if not shutil.which("apt-get"):
        raise Missing(f"no apt-get to install {' '.join(lacking)}")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and os.environ.get("CI") != "true":
        raise Missing(f"not installed: sudo apt-get install {' '.join(lacking)}")
    # No service is to be started: each run has its own servers.
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    install = [*quiet, "apt-get", "install", "--yes", "--no-install-recommends", *lacking]
    print(f"installing {' '.join(lacking)}", file=sys.stderr, flush=True)
    try:
        command(install)
    except Missing:
        command([*quiet, "apt-get", "update"])
        command(install)


def slixmpp(folder):
    """A virtual environment with the pinned version; gives its python."""
    requirements = HERE / "slixmpp" / "requirements.txt"
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        command([sys.executable, "-m", "venv", folder / "venv"])
    command([python, "-m", "pip", "install", "--quiet", "--requirement", requirements])
    return python


def node_xcs(folder):
    """The locked packages, beside a copy of the app server, which finds them there; gives the folder."""
    if not (shutil.which("node") and shutil.which("npm")):
        debian(nodejs="node", npm="npm")
    there = folder / "node-xcs"
    there.mkdir(exist_ok=True)
    for source in (HERE / "node-xcs").iterdir():
        shutil.copy(source, there)
    if not (there / "node_modules" / ".package-lock.json").exists():
        command(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=there)
    return there


def go_xmpp(folder):
    """Compiles the app server against Debian's library."""
    debian(golang_go="go", golang_github_mattn_go_xmpp_dev="/usr/share/gocode/src/github.com/mattn/go-xmpp")
    program = folder / "go-xmpp"
    environment = {
        **os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder / "go-cache"),
    }
    command(["go", "build", "-o", program, HERE / "go-xmpp" / "main.go"], env=environment)
    return program


def libstrophe(folder):
    """Compiles the app server against Debian's library."""
    debian(
        gcc="cc", pkg_config="pkg-config", libstrophe_dev="/usr/include/strophe.h",
        libjson_c_dev="/usr/include/json-c/json.h",
    )
    flags = command(["pkg-config", "--cflags", "--libs", "libstrophe", "json-c"]).split()
    program = folder / "libstrophe"
    command(["cc", "-Wall", "-Wextra", "-o", program, HERE / "libstrophe" / "client.c", *flags])
    return program


def prosody(_folder):
    """Gives the program."""
    debian(prosody="prosody")
    return shutil.which("prosody")


def ejabberd(folder):
    """Compiles the module; gives the folder that it is in."""
    debian(ejabberd="ejabberdctl")
    there = folder / "ejabberd"
    there.mkdir(exist_ok=True)
    command(["erlc", "-o", there, HERE / "ejabberd" / "mod_ccs.erl"])
    return there


def ejabberd_libraries():
    """Where Debian keeps ejabberd's own code: a folder for each architecture."""
    return next(Path("/usr/lib").glob("*/ejabberd-*/ebin")).parents[1]
