"""One message with a client of Python. Arguments: the client, host, port, recipients, its timeout.
Prints how long the call took and what the client reports."""

import asyncio
import smtplib
import sys
import time

import aiosmtplib

client, host, port, count, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
sender, to = "me@example.net", [f"r{n}@example.org" for n in range(1, count + 1)]
message = "From: me@example.net\r\nSubject: hello\r\n\r\nworld\r\n"

begun = time.monotonic()


def say(what):
    print(f"{time.monotonic() - begun:.3f} {what}", flush=True)


try:
    if client == "smtplib":
        with smtplib.SMTP(host, port, timeout=timeout) as server:
            refused = server.sendmail(sender, to, message)
    else:
        refused, _ = asyncio.run(
            aiosmtplib.send(message, sender=sender, recipients=to, hostname=host, port=port, timeout=timeout, start_tls=False)
        )
    say("delivered" + (f", but not to {len(refused)}" if refused else ""))
except Exception as error:
    say("error: " + " ".join(f"{type(error).__name__} {error}".split()))
