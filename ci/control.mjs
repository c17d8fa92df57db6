// Looks at the double's page while clients come: the dialogues, the mailbox, the rules, namespaces.
// Arguments: the folder to work in, where the screenshots go, the page's address, and the double's.
import assert from "node:assert/strict";
import net from "node:net";
import { chromium } from "playwright-core";

const [work, shots, url, smtp] = process.argv.slice(2);

// A client of a few lines; stops where it is refused.
const send = (address, lines) => new Promise((done, failed) => {
  const [host, port] = address.split(":");
  const socket = net.connect(Number(port), host);
  const left = [...lines];
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (data) => {
    text += data;
    if (!/^\d{3} .*\r\n$/m.test(text.split("\r\n").slice(-2).join("\r\n"))) return;
    const refused = /^[45]/m.test(text);
    text = "";
    if (refused || left.length === 0) socket.end(); else socket.write(`${left.shift()}\r\n`);
  });
  socket.on("close", done);
  socket.on("error", failed);
});
const evil = '<img src=x onerror="document.title=1"></pre><script>document.title=1</script>';
const message = (to) => ["EHLO client.example", "MAIL FROM:<me@example.net>", `RCPT TO:<${to}>`, "DATA", `Subject: hello\r\n\r\n${evil}\r\n.`, "QUIT"];

const context = await chromium.launchPersistentContext(`${work}/control-profile`, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await context.newPage();
page.setDefaultTimeout(10_000);
const foreign = [];
const wrong = [];
page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith("data:")) foreign.push(request.url()); });
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (entry) => { if (entry.type() === "error") wrong.push(entry.text()); });
let checks = 0;
const check = (what, condition) => { checks += 1; assert.ok(condition, what); };
// waitForFunction needs eval, which the page's policy rightly forbids.
const until = async (what, condition, argument) => {
  checks += 1;
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    if (await page.evaluate(condition, argument)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.fail(what);
};

await page.goto(url);
await until("where to point a client", (smtp) => document.querySelector(".address").textContent === smtp, smtp);
check("nobody has come", await page.locator("#nobody").isVisible());

// A client comes while the page is open.
await send(smtp, message("you@example.org"));
await until("its dialogue", () => document.querySelectorAll("details[data-connection]").length === 1);
await until("with both sides", () => /→ DATA[^]*← 354[^]*committed to the mailbox/.test(document.querySelector("details").textContent));
await until("which has ended", () => !document.querySelector("details").classList.contains("open"));
check("as a waterfall", await page.evaluate(() => {
  const bars = [...document.querySelectorAll("details .bar i")].map((bar) => bar.getBoundingClientRect().left);
  return bars.length > 10 && bars.every((left, index) => index === 0 || left >= bars[index - 1] - 0.5);
}));
await until("its message", () => document.querySelectorAll("#messages button").length === 1);
await page.locator("#messages button").click();
await page.waitForSelector("#message:not([hidden])");
check("what was sent is text", (await page.textContent("#message pre")).includes(evil) && await page.locator("#message pre *").count() === 0);
check("and nothing of it runs", await page.title() === "postbound: the double");
check("the focus is on it", await page.evaluate(() => document.activeElement.id) === "message");
await page.locator("#close").click();

// Rules, right and wrong.
await page.fill("#rule", "rcpt: stal");
await page.locator("#add button").click();
await until("what is wrong with a rule", () => document.querySelector("#wrong").textContent.includes("line 1, column 7"));
await page.fill("#rule", "data-refused");
await page.locator("#add button").click();
await until("a behaviour is set", () => document.querySelector("#rules li")?.textContent.includes("data-initiation: reply 554"));
await send(smtp, message("you@example.org"));
await until("and strikes", () => document.querySelector("#rules li").textContent.includes("struck 1×"));
check("nothing was taken", await page.textContent("#count") === "1");
await until("what was struck is in the grid", () => {
  const table = document.querySelector("#coverage");
  const [head, ...rows] = [...table.rows].map((row) => [...row.cells].map(({ textContent }) => textContent));
  const row = rows.find(([at]) => at === "data-initiation");
  return !table.hidden && head.join() === "at,reached,reply-5yz" && row?.join() === "data-initiation,2,1";
});
check("with what became of the message", await page.locator("#coverage .struck").getAttribute("title") === "data-initiation, reply-5yz: struck 1×, 0× with the message taken");
await page.locator("#rules button").click();
await until("and is taken away", () => document.querySelectorAll("#rules li").length === 0);

// A reply that is held until somebody lets it go.
await page.fill("#rule", "rcpt: hold");
await page.locator("#add button").click();
await until("a rule that holds is set", () => document.querySelectorAll("#rules li").length === 1);
const held = send(smtp, message("held@example.org"));
await until("a reply is held", () => document.querySelector("#rules .release")?.textContent === "Let 1 go");
check("and the dialogue says so", /the reply is held/.test(await page.textContent("details")));
await page.locator("#rules .release").click();
await held;
await until("and let go", () => document.querySelectorAll("#rules .release").length === 0 && document.querySelector("#count").textContent === "2");
await page.locator("#rules button").click();
await until("the rule is taken away", () => document.querySelectorAll("#rules li").length === 0);

// Findings.
await send(smtp, ["RCPT TO:<x@example.org>"]);
await until("what a client did wrong", () => document.querySelector("#findings").textContent.includes("RCPT before MAIL"));

// Another namespace knows nothing of it.
const made = await (await fetch(`${url}/v1/namespaces`, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"name": "other"}' })).json();
await send(made.address, message("other@example.org"));
await until("a namespace to choose", () => [...document.querySelector("#namespace").options].some(({ value }) => value === "other"));
await page.selectOption("#namespace", "other");
await until("of which nothing was struck", () => document.querySelector("#coverage").hidden);
await until("with its own mailbox", () => document.querySelector("#messages").textContent.includes("other@example.org") && document.querySelectorAll("#messages button").length === 1);
await until("and its own dialogues", () => document.querySelectorAll("details[data-connection]").length === 1);
await page.selectOption("#namespace", "main");
await until("and back", () => document.querySelectorAll("details[data-connection]").length === 4);

const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
for (const scheme of ["light", "dark"]) {
  for (const [name, width, height] of [["desk", 1280, 900], ["phone", 390, 844]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height });
    check(`${name} ${scheme}: nothing is wider than the screen`, await overflow() <= 0);
    await page.screenshot({ path: `${shots}/control-${name}-${scheme}.png` });
  }
}
const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const dark = await paper();
await page.locator("#theme").click();
check("the theme changes", await paper() !== dark);

await page.locator("#reset").click();
await until("a reset empties it", () => document.querySelector("#count").textContent === "0" && document.querySelectorAll("details").length === 0);

// What a page of another origin can do: nothing. Its requests arrive, and are refused.
const spy = await context.newPage();
await spy.goto("data:text/html,<title>elsewhere</title>");
const stolen = await spy.evaluate(async (url) => {
  const read = await fetch(`${url}/v1/namespaces`).then(() => "read", () => "refused");
  await fetch(`${url}/v1/namespaces`, { method: "POST", mode: "no-cors", body: '{"name": "stolen"}' }).catch(() => {});
  return read;
}, url);
check("another origin reads nothing", stolen === "refused");
const names = (await (await fetch(`${url}/v1/namespaces`)).json()).namespaces.map(({ name }) => name);
check("and changes nothing", names.join() === "main,other");

check("no requests elsewhere", foreign.length === 0);
// The rule that was wrong was refused with 400, which the console notes.
assert.deepEqual(wrong.filter((text) => !text.includes("400 (Bad Request)")), []);
await context.close();
console.log(`the double's page: ${checks} checks hold`);
