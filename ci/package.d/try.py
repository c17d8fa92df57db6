"""In a network namespace and a root of its own, with nothing but the program in it: starts what the
Dockerfile says, and is its client."""

import json
import os
import pathlib
import re
import smtplib
import subprocess
import sys
import urllib.request

folder = pathlib.Path(sys.argv[1])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
lines = (folder / "Dockerfile").read_text()
command = [word for what in ("ENTRYPOINT", "CMD") for word in json.loads(re.search(rf"^{what} (.*)$", lines, re.M)[1])]
root = folder / "root"
root.mkdir(exist_ok=True)
(root / "postbound").write_bytes((folder / "postbound").read_bytes())
(root / "postbound").chmod(0o755)
double = subprocess.Popen(["chroot", root, *command], stdout=subprocess.PIPE, text=True)
try:
    ready = double.stdout.readline()
    assert ready.startswith("ready "), ready
    os.environ["no_proxy"] = "127.0.0.1"

    def taken():
        return json.load(urllib.request.urlopen("http://localhost:8025/v1/namespaces/main/ledger", timeout=10))["messages"]

    try:
        with smtplib.SMTP("127.0.0.1", 2525, timeout=2) as client:
            client.sendmail("me@example.net", ["lost-reply@example.org"], "Subject: hello\r\n\r\nworld\r\n")
        sys.exit("a lost reply was reported as delivered")
    except (smtplib.SMTPException, OSError) as error:
        print(f"{ready.strip()}; smtplib reported {error!r}; taken: {taken()}")
    assert taken() == 1
finally:
    double.kill()
