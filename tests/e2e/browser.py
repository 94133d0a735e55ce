"""A page in headless Chromium: what its document is after its scripts have run. Used by test_report_html.py."""
import re
import shutil
import subprocess
from html.parser import HTMLParser

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
VOID = {"meta", "input", "rect", "br", "link", "img"}


class Element:
    def __init__(self, tag, attributes, parent=None):
        self.tag, self.attributes, self.parent, self.children = tag, dict(attributes), parent, []

    def __getitem__(self, name):
        return self.attributes[name]

    @property
    def classes(self):
        return (self.attributes.get("class") or "").split()

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def all(self, tag=None, cls=None, **attributes):
        """The elements below this one, in order."""
        for child in self.children:
            if isinstance(child, Element):
                if ((tag is None or child.tag == tag) and (cls is None or cls in child.classes)
                        and all(child.attributes.get(k.replace("_", "-")) == v for k, v in attributes.items())):
                    yield child
                yield from child.all(tag, cls, **attributes)

    def one(self, *arguments, **attributes):
        [found] = self.all(*arguments, **attributes)
        return found


class _Builder(HTMLParser):
    """Builds the tree, and fails at an end tag that does not belong to what is open."""

    def __init__(self):
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag, attributes):
        element = Element(tag, attributes, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag, attributes):
        self.at.children.append(Element(tag, attributes, self.at))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert tag == self.at.tag, f"</{tag}> closes <{self.at.tag}>, line {self.getpos()}"
            self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def parse(text):
    """The document of an HTML text whose tags must match."""
    builder = _Builder()
    builder.feed(text)
    builder.close()
    assert builder.at is builder.root, f"<{builder.at.tag}> is not closed"
    return builder.root


def rendered(page, profile, timeout=120):
    """What Chromium makes of the file: the document when everything in it has run."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed: install the packages of contrib/packages"
    done = subprocess.run([program, *FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=4000", "--dump-dom",
                           page.as_uri()], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr[-2000:]
    return parse(re.sub(r"^<!DOCTYPE html>", "", done.stdout))
