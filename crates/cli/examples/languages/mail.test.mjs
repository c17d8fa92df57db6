// A CI job in Node: starts the double, waits for its ready line, has nodemailer send to it, looks at the
// truth, and stops it. `npm install nodemailer && node --test mail.test.mjs`
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import readline from "node:readline";
import { after, before, test } from "node:test";
import nodemailer from "nodemailer";

let double, ready;

before(async () => {
  double = spawn("postbound", ["serve", "--port", "0", "--control", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = readline.createInterface({ input: double.stdout });
  ready = JSON.parse((await once(lines, "line"))[0]);
});
after(async () => {
  double.kill();
  await once(double, "exit");
});

const send = (to) => {
  const [host, port] = ready.address.split(":");
  const transport = nodemailer.createTransport({ host, port: Number(port), greetingTimeout: 1000, socketTimeout: 1000 });
  return transport.sendMail({ from: "me@example.net", to, subject: "hello", text: "world" });
};
const taken = async (to) => {
  const answer = await fetch(`${ready.control}/v1/namespaces/main/messages`);
  return (await answer.json()).messages.filter(({ forward_paths }) => forward_paths.includes(to)).length;
};

test("delivers", async () => {
  await send("bob@example.org");
  assert.equal(await taken("bob@example.org"), 1);
});

test("a recipient that is refused is reported", async () => {
  await assert.rejects(send("rcpt550_5.1.1@example.org"), /550 5\.1\.1/);
  assert.equal(await taken("rcpt550_5.1.1@example.org"), 0);
});

test("an error does not mean that nothing was delivered", async () => {
  // The server takes the message and never says so (RFC 1047). Whoever sends it again on this error
  // makes a duplicate.
  await assert.rejects(send("lost-reply@example.org"), /Timeout/i);
  assert.equal(await taken("lost-reply@example.org"), 1);
});
