// One message with nodemailer. Arguments: host, port, recipients, its timeout in seconds. Prints how
// long the call took and what it reports.
import nodemailer from "nodemailer";

const [host, port, count, timeout] = process.argv.slice(2);
const wait = Number(timeout) * 1000;
const transport = nodemailer.createTransport({
  host, port: Number(port), ignoreTLS: true, connectionTimeout: wait, greetingTimeout: wait, socketTimeout: wait,
});
const to = Array.from({ length: Number(count) }, (_, n) => `r${n + 1}@example.org`);
const begun = performance.now();
const say = (what) => console.log(((performance.now() - begun) / 1000).toFixed(3), what);
try {
  const { rejected } = await transport.sendMail({ envelope: { from: "me@example.net", to }, raw: "From: me@example.net\r\nSubject: hello\r\n\r\nworld\r\n" });
  say("delivered" + (rejected.length ? `, but not to ${rejected.length}` : ""));
} catch (error) {
  say(`error: ${error.code} ${error.message}`.replace(/\s+/g, " "));
}
// What counts is the call, not how long its sockets linger.
process.exit();
