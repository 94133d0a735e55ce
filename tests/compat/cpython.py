"""CPython's own tests, one regrtest process per module; results are read from its JUnit file. Used by run.py."""
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

MODULES = ("test_socket test_ssl test_asyncio test_httplib test_urllib test_urllib2 test_urllib2_localnet "
           "test_urllib_response test_selectors test_select test_poll test_epoll test_socketserver test_httpservers "
           "test_subprocess test_os test_posix test_tempfile test_shutil").split()
# Asked for by a module that needs no more than loopback; elsewhere it stands for the Internet.
RESOURCES = {"test_socketserver": ["-u", "network"]}
# Above this number of cases regrtest's --match is left away and the whole module runs again.
MOST_MATCHED = 300
ONE_TEST, MODULE = 300, 1800  # seconds; on a busy machine some take minutes


class Module:
    def __init__(self, python, module):
        self.python, self.module = python, module

    def prepare(self, lab, user):
        pass

    def clear(self):
        pass

    @staticmethod
    def tested_nothing(results):
        """A module whose import fails is skipped as a whole, and equal on both sides."""
        return "passed" not in results.values()

    def run(self, side, only=()):
        """Results by the name of the test: passed, skipped, failed: TEXT, error: TEXT. "module" if it has no report."""
        report = side.directory / f"{self.module}.xml"
        report.unlink(missing_ok=True)
        names = [name for name in only if name != "module"]
        chosen = [f"--match={name}" for name in names] if 0 < len(names) <= MOST_MATCHED else []
        options = [f"--timeout={ONE_TEST}", "-v", f"--junit-xml={report}", *RESOURCES.get(self.module, [])]
        status, out, err = side.run([self.python, "-m", "test", *options, *chosen, self.module], MODULE)
        (side.directory / f"{self.module}.log").write_text(f"{out}\n-- stderr\n{err}")
        if not report.exists():
            return {"module": f"ended without a report, exit status {status}"}
        return read(report)


def read(report):
    """The worst result of each test: one with subtests is there several times."""
    worst = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").split(" ")[0]
        kinds = {child.tag: child for child in case}
        if "error" in kinds or "failure" in kinds:
            kind = "error" if "error" in kinds else "failure"
            result = (3, f"{kind}: {reason(kinds[kind].text or '')}")
        elif "skipped" in kinds:
            result = (1, "skipped")
        else:
            result = (2, "passed")
        if name not in worst or result[0] > worst[name][0]:
            worst[name] = result
    return {name: result for name, (_, result) in worst.items()}


def reason(trace):
    """The line that names the exception, without its numbers: ports and process ids are others each time."""
    named = re.findall(r"^[\w.]*(?:Error|Exception|Warning|Interrupt)\b.*", trace, re.M)
    return re.sub(r"\d+", "N", named[-1] if named else "")


def suites(python):
    """The modules that this interpreter has, by name."""
    check = subprocess.run([python, "-c", "import test.test_socket, test.libregrtest"], capture_output=True, text=True,
                           cwd="/", timeout=60)
    if check.returncode:
        sys.exit(f"{python} has no test package: install what `sh contrib/deps.sh check compat` names, or set "
                 "PYTHON_COMPAT to an interpreter that has it")
    return {name: Module(python, name) for name in MODULES}
