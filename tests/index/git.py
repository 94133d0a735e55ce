"""Git repositories over HTTP: runs git-http-backend(1) for one request, as a CGI program (RFC 3875). Used by index.py."""
import os
import subprocess
import zlib


def serve(handler, root, path):
    """Answer handler's request for path (below root) with what git-http-backend says. Returns status, fields, body."""
    body = handler.body
    if handler.headers.get("Content-Encoding") == "gzip":
        body = zlib.decompress(body, 31)
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
                   "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(root),
                   "PATH_INFO": "/" + path, "QUERY_STRING": handler.url.query, "REQUEST_METHOD": handler.command,
                   "CONTENT_TYPE": handler.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                   "HTTP_GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1"}
    done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, timeout=60)
    head, _, answer = done.stdout.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    status = int(fields.pop("Status", "200" if head else "500").split(" ")[0])
    return status, fields, answer


def make(path, files, user="tests"):
    """A bare repository at path whose branch main has one commit with files (name: bytes)."""
    who = f"{user} <{user}@index.example> 1700000000 +0000"
    stream = f"commit refs/heads/main\ncommitter {who}\ndata 4\nmade".encode()
    for name, data in files.items():
        stream += f"\nM 100644 inline {name}\ndata {len(data)}\n".encode() + data
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
                   "HOME": str(path)}
    for argv, data in ((["git", "init", "-q", "--bare", "-b", "main", path], b""),
                       (["git", "-C", path, "fast-import", "--quiet"], stream + b"\n")):
        subprocess.run(list(map(str, argv)), input=data, check=True, timeout=60, env=environment)
