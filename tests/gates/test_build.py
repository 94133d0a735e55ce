"""What is built: hardened, reproducible, and put where `make install` says, all of which `make uninstall` removes."""
import os
import platform
import shutil
import subprocess
from pathlib import Path

from tree import ROOT

BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()


# Our own make may have been started by another one, whose flags are not meant for it.
MAKE = ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", "make", "-s", "--no-print-directory", "-C", str(ROOT)]


def readelf(*args):
    return subprocess.run(["readelf", "-W", *map(str, args)], capture_output=True, text=True, check=True).stdout


def test_the_relay_is_hardened():
    program = BUILD / "tapline"
    assert "DYN (Position-Independent Executable file)" in readelf("-h", program)
    dynamic, segments = readelf("-d", program), readelf("-l", program)
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in segments
    assert "RWE" not in segments and "GNU_STACK" in segments
    symbols = readelf("--dyn-syms", program)
    assert "__stack_chk_fail" in symbols and "_chk@" in symbols, "stack protector, fortify"


def test_the_library_is_hardened():
    library = BUILD / "libtapline.so"
    assert "BIND_NOW" in readelf("-d", library) and "GNU_RELRO" in readelf("-l", library)
    assert "RWE" not in readelf("-l", library)


def has_control_flow_notes(path):
    return "IBT, SHSTK" in readelf("-n", path)


def test_control_flow_can_be_enforced():
    """The linker and the loader drop it where one part lacks the note: ours must not be that part, least of all in other people's programs."""
    if platform.machine() != "x86_64":
        return
    objects = list(BUILD.glob("relay/*/*.o"))
    assert len(objects) > 100 and not [path.name for path in objects if not has_control_flow_notes(path)]
    assert has_control_flow_notes(BUILD / "libtapline.so")
    begin = subprocess.run(["cc", "-print-file-name=Scrt1.o"], capture_output=True, text=True, check=True).stdout.strip()
    assert has_control_flow_notes(BUILD / "tapline") == has_control_flow_notes(begin)


def test_no_path_of_the_build_is_in_what_is_built():
    """So that two builds of the same tree are the same, wherever they were made."""
    for name in ("tapline", "libtapline.so"):
        assert os.fsencode(str(ROOT)) not in (BUILD / name).read_bytes(), name


def test_install_and_uninstall(tmp_path):
    make = [*MAKE, f"B={BUILD}", f"DESTDIR={tmp_path}", "PREFIX=/usr", "WERROR="]
    # What is built is not built again for this: the flags are those of the build that is tested.
    subprocess.run([*make, "-o", "all", "install"], check=True)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert {"usr/bin/tapline", "usr/lib/tapline/libtapline.so", "usr/share/tapline/catalogue.conf",
            "usr/share/man/man1/tapline.1"} <= files
    ran = subprocess.run([tmp_path / "usr/bin/tapline", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("tapline ")
    subprocess.run([*make, "uninstall"], check=True)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_dist_holds_what_is_committed(tmp_path):
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return  # the tree that dist made has no history to make another from
    make = [*MAKE, f"B={tmp_path}", "dist"]
    archive = Path(subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1])
    first = archive.read_bytes()
    subprocess.run(make, capture_output=True, check=True)
    assert archive.read_bytes() == first
    listed = subprocess.run(["tar", "tzf", archive], capture_output=True, text=True, check=True).stdout
    assert "/preload/connect.c\n" in listed and "/.git/" not in listed
