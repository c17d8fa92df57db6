"""Drives the double with clients of other languages: what each reports, and what is true. Arguments: the
program, the folder with the clients' packages."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

program, packages = sys.argv[1], sys.argv[2]
here = pathlib.Path(__file__).parent
TIMEOUT = 2  # what each client is told, in seconds
PATIENCE = 8  # and how long it is given
BEHAVIOURS = [
    # name, recipients, messages that the server takes
    ("healthy", 1, 1),
    ("greeting-never", 1, 0),
    ("drip-mail", 1, 0),
    ("drip-final-reply", 1, 1),
    ("lost-reply", 1, 1),
    ("half-a-final-reply", 1, 1),
    ("committed-then-reset", 1, 1),
    ("replies-ahead", 1, None),  # up to whether the client goes on
    ("accepted-before-it-was-sent", 1, 0),
    ("mixed-codes", 1, 0),
    ("chatter-before-reply", 1, 0),
    ("data-answered-250", 1, 0),
    ("one-recipient-refused", 3, 1),
    ("endless-lines-slow", 1, 0),
    ("quit-unanswered", 1, 1),
]
environment = dict(os.environ, PYTHONPATH=packages)
CLIENTS = {
    "smtplib": [sys.executable, here / "send.py", "smtplib"],
    "aiosmtplib": [sys.executable, here / "send.py", "aiosmtplib"],
    "nodemailer": ["node", pathlib.Path(packages) / "send.mjs"],
}
http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with http.open(request, timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def finding(reported, expected, seconds, taken):
    found = []
    if seconds >= PATIENCE:
        found.append(f"its timeout of {TIMEOUT} s bounds no call: still waiting after {PATIENCE} s")
    elif seconds > 2 * TIMEOUT:
        found.append(f"took {seconds:.0f} s with a timeout of {TIMEOUT} s")
    if reported.startswith("delivered") and taken == 0:
        found.append("says delivered, and nothing was taken")
    if reported.startswith("error") and taken > 0:
        found.append("an error, and the message is there: sent again, it comes twice")
    return "; ".join(found)


def run(control, client, behaviour, recipients, expected):
    name = f"{client}.{behaviour}"
    body = {"name": name} if behaviour == "healthy" else {"name": name, "behaviour": behaviour}
    space = ask("POST", f"{control}/v1/namespaces", body)
    command = [*CLIENTS[client], space["host"], str(space["port"]), str(recipients), str(TIMEOUT)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE + 2)
        seconds, _, reported = done.stdout.strip().partition(" ")
        seconds = float(seconds or 0)
        reported = reported or f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}"
    except subprocess.TimeoutExpired:
        # It needed some of that to start.
        seconds, reported = float(PATIENCE), "nothing"
    taken = ask("GET", f"{control}/v1/namespaces/{name}/ledger")["messages"]
    ask("DELETE", f"{control}/v1/namespaces/{name}")
    return client, behaviour, reported, taken, seconds, finding(reported, expected, seconds, taken), expected


def main():
    double = subprocess.Popen([program, "serve", "--port", "0", "--control", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        control = json.loads(double.stdout.readline())["control"]
        runs = [(control, client, *one) for client in CLIENTS for one in BEHAVIOURS]
        with ThreadPoolExecutor(6) as pool:
            rows = list(pool.map(lambda one: run(*one), runs))
    finally:
        double.kill()
    print(f"{'client':<11} {'behaviour':<28} {'it reported':<52} {'taken':>5} {'seconds':>8}  finding")
    wrong = []
    for client, behaviour, reported, taken, seconds, found, expected in rows:
        print(f"{client:<11} {behaviour:<28} {reported[:52]:<52} {taken:>5} {seconds:>8.1f}  {found}")
        if behaviour == "healthy" and (reported != "delivered" or found):
            wrong.append(f"{client} does not get along with a healthy server: {reported}")
        # A client that was stopped had not come to the end.
        if expected is not None and taken != expected and reported != "nothing":
            wrong.append(f"{client}, {behaviour}: {taken} messages were taken, expected {expected}")
        if reported.startswith("it ended with"):
            wrong.append(f"{client}, {behaviour}: {reported}")
    for client in CLIENTS:
        if not any(row[0] == client and row[5] for row in rows):
            wrong.append(f"nothing was found about {client}: the double shows nothing")
    print(f"\n{len(rows)} runs, {sum(bool(row[5]) for row in rows)} findings")
    if wrong:
        sys.exit("\n".join(wrong))


main()
