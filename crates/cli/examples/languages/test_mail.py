"""A CI job in Python, with its standard library alone: starts the double, waits for its ready line, has
smtplib send to it, looks at the truth, and stops it. `python3 -m unittest test_mail.py`"""

import json
import smtplib
import subprocess
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

# Whatever the environment says about proxies: the double is on this machine.
http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Mail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = ["postbound", "serve", "--port", "0", "--control", "--json"]
        cls.double = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        cls.ready = json.loads(cls.double.stdout.readline())  # ends at once if it can't start
        cls.log = subprocess.Popen(["cat"], stdin=cls.double.stdout, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.double.terminate()
        cls.double.wait(10)
        cls.double.stdout.close()
        cls.log.wait(10)

    def send(self, to, timeout=1):
        host, port = self.ready["address"].split(":")
        with smtplib.SMTP(host, int(port), timeout=timeout) as client:
            client.sendmail("me@example.net", [to], "Subject: hello\r\n\r\nworld\r\n")

    def ask(self, path, body=None, method=None):
        url = self.ready["control"] + "/v1/namespaces/main/" + path
        data = body and json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        return json.load(http.open(request))

    def taken(self, to):
        messages = self.ask("messages")["messages"]
        return sum(to in message["forward_paths"] for message in messages)

    def test_delivers(self):
        self.send("bob@example.org")
        self.assertEqual(self.taken("bob@example.org"), 1)

    def test_a_recipient_that_is_refused_is_reported(self):
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send("rcpt550_5.1.1@example.org")
        self.assertEqual(self.taken("rcpt550_5.1.1@example.org"), 0)

    def test_an_error_does_not_mean_that_nothing_was_delivered(self):
        # The server takes the message and never says so (RFC 1047). Whoever sends it again on this
        # error makes a duplicate.
        with self.assertRaises((TimeoutError, smtplib.SMTPServerDisconnected)):
            self.send("lost-reply@example.org")
        self.assertEqual(self.taken("lost-reply@example.org"), 1)

    def test_a_reply_is_held_until_the_test_lets_it_go(self):
        # The server has taken the message and is about to say so: no clock says when, the test does.
        self.ask("rules", {"rule": "data-termination[name final, first 1]: hold"})
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(self.send, "eve@example.org", 10)
            self.assertEqual(len(self.ask("rules/final?wait=10s")["waiting"]), 1)
            self.assertFalse(sending.done())
            self.assertEqual(self.taken("eve@example.org"), 1)
            self.ask("rules/final/release", method="POST")
            sending.result(timeout=10)


if __name__ == "__main__":
    unittest.main()
