"""Run hatch from a folder of this checkout: `python3 scripts/hatch.py run ci` needs Python >= 3.11 and pip.

Hatch and everything it creates live in `.hatch/`, so the system's Python is not touched (many systems refuse that, PEP
668) and deleting the checkout leaves nothing behind. Later runs reuse the folder.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

HATCH = "hatch==1.18.2"
ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".hatch"
TOOL = HOME / "tool"


def install() -> None:
    """Make `.hatch/tool`, with hatch in it, unless a previous run finished doing so."""
    done = TOOL / HATCH
    if done.exists():
        return
    print(f"installing {HATCH} into {TOOL} (once)", file=sys.stderr)
    try:
        venv.create(TOOL, clear=True, with_pip=True)
        pip = [str(TOOL / "bin" / "python"), "-m", "pip"]
    except subprocess.CalledProcessError:  # Debian without python3-venv has no ensurepip: the system's pip fills it
        venv.create(TOOL, clear=True, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(TOOL / "bin" / "python")]
    result = subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", HATCH], check=False)
    if result.returncode:
        sys.exit(f"could not install {HATCH}: pip's message is above (Debian and Ubuntu: apt install python3-venv)")
    done.touch()


def main() -> None:
    """Install hatch if needed, then become it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone may be run by any Python
        sys.exit(f"RAUTA needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")
    install()
    os.environ.setdefault("HATCH_DATA_DIR", str(HOME / "data"))
    os.environ.setdefault("HATCH_CACHE_DIR", str(HOME / "cache"))
    os.chdir(ROOT)
    hatch = str(TOOL / "bin" / "hatch")
    os.execv(hatch, [hatch, *sys.argv[1:]])  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main()
