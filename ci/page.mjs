// Clicks through the page that ci/page made. The first argument is the folder it is in, the second
// where the screenshots go.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [work, shots] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(`${work}/profile`, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  permissions: ["clipboard-read", "clipboard-write"],
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await context.newPage();
const asked = [];
const wrong = [];
page.on("request", (request) => { if (!request.url().startsWith("file:")) asked.push(request.url()); });
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });
const out = `file://${work}/out.html`;
let checks = 0;
const check = (what, condition) => { checks += 1; assert.ok(condition, what); };
const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const scheme of ["light", "dark"]) {
  for (const [name, width, height] of [["desk", 1280, 900], ["phone", 390, 844]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height });
    await page.goto("about:blank");
    await page.goto(out);
    check(`${name} ${scheme}: the verdict`, (await page.textContent("#verdict")).startsWith("Everything holds: "));
    check(`${name} ${scheme}: nothing is wider than the screen`, await overflow() <= 0);
    await page.screenshot({ path: `${shots}/${name}-${scheme}.png`, fullPage: true });
    await page.locator('[data-id="mem/data-termination/lost-reply"]').click();
    check(`${name} ${scheme}: a sheet opens`, await page.locator("dialog").isVisible());
    await page.screenshot({ path: `${shots}/${name}-${scheme}-cell.png` });
    check(`${name} ${scheme}: the sheet fits`, await page.evaluate(() => { const d = document.querySelector("dialog"); return d.scrollWidth <= d.clientWidth && d.getBoundingClientRect().width <= innerWidth; }));
  }
}

// The sheet of a cell: the truth side by side, the waterfall, and the line that replays it.
await page.setViewportSize({ width: 1280, height: 900 });
await page.emulateMedia({ colorScheme: "light" });
await page.goto("about:blank");
await page.goto(out);
await page.locator('[data-id="mem/data-termination/lost-reply"]').click();
const sheet = await page.textContent("dialog");
check("the claim", sheet.includes("ambiguous, timed-out at data-termination"));
check("the mailbox", sheet.includes("has 1 message"));
check("the dialogue has both sides", sheet.includes("→ DATA") && sheet.includes("← 354") && sheet.includes("committed to the mailbox"));
check("where the call ends", sheet.includes("the call ends"));
check("what other clients did there", /lettre [0-9.]+no end within 1 h; the mailbox has 1 message/.test(sheet));
const column = await page.textContent("#peers-table");
check("the peers' column", ["lettre", "mail-send", "async-smtp"].every((name) => column.includes(name)) && /greeting[0-9]+ of [0-9]+/.test(column));
check("and what was not tried with them", (await page.textContent("#peers-notes")).includes("because it has no CHUNKING"));
await page.locator("#copy").click();
await page.waitForFunction(() => document.querySelector("#copy").textContent === "Copied");
const line = await page.evaluate(() => navigator.clipboard.readText());
check("the replay line is in the clipboard", /^postbound replay --backend mem 'timeout=2s .* -- v1 \| data-termination: commit; stall'$/.test(line));
check("the address names the cell", page.url().endsWith("#mem/data-termination/lost-reply"));

// By keyboard: from cell to cell, in and out.
await page.keyboard.press("ArrowRight");
check("to the next cell", page.url().endsWith("#mem/data-termination/committed-then-close"));
await page.keyboard.press("Escape");
check("out again", !(await page.locator("dialog").isVisible()));
check("and back where it was opened", await page.evaluate(() => document.activeElement.dataset.id) === "mem/data-termination/lost-reply");
await page.locator("#grid .cell").first().focus();
const first = await page.evaluate(() => document.activeElement.dataset.id);
await page.keyboard.press("ArrowRight");
await page.keyboard.press("ArrowDown");
const other = await page.evaluate(() => document.activeElement.dataset.id);
check("the arrows move", first !== other && other.split("/")[1] !== first.split("/")[1] && other.split("/")[2] !== first.split("/")[2]);
check("one stop of the tabulator for the grid", await page.locator('#grid .cell[tabindex="0"]').count() === 1);
await page.keyboard.press("Enter");
check("Enter opens", await page.locator("dialog").isVisible());
await page.locator("#close").click();

// The networks and the filters.
await page.getByRole("button", { name: "turmoil" }).click();
check("what turmoil can't do is marked", await page.locator("#grid .cell.skipped").count() > 0);
await page.locator("#grid .cell.skipped").first().click();
check("and why is said", (await page.textContent("dialog")).includes("turmoil can't do"));
await page.keyboard.press("Escape");
await page.getByRole("button", { name: /^ambiguous/ }).click();
const lit = await page.locator(".cell:not(.dim)").count();
check("a filter leaves some lit and dims the rest", lit > 0 && await page.locator(".cell.dim").count() > lit);
await page.getByRole("button", { name: /^ambiguous/ }).click();
check("and off again", await page.locator(".cell.dim").count() === 0);

// An address opens the very cell.
await page.goto("about:blank");
await page.goto(`${out}#loopback/greeting/drip`);
check("a cell by its address", (await page.textContent("#detail-title")) === "greeting: drip");
await page.keyboard.press("Escape");

// The theme by hand, and paper.
const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const light = await paper();
await page.locator("#theme").click();
check("the theme changes", await paper() !== light);
await page.emulateMedia({ media: "print" });
check("paper is white, whatever the screen was", await paper() === "rgb(255, 255, 255)");
check("no controls on paper", !(await page.locator(".controls").isVisible()));
await page.pdf({ path: `${shots}/out.pdf`, format: "A4", margin: { top: "14mm", bottom: "14mm", left: "12mm", right: "12mm" } });
await page.emulateMedia({ media: "screen" });
check("no requests", asked.length === 0);

// Every cell has a name for those who listen to it.
check("named cells", await page.evaluate(() => [...document.querySelectorAll(".cell")].every((cell) => /: .+/.test(cell.getAttribute("aria-label")))));

// What is broken is said, and what it says is text.
await page.goto(`file://${work}/broken.html`);
check("a broken verdict", (await page.textContent("#verdict")).includes("1 cell is broken"));
check("as text", (await page.textContent("#broken-list")).includes("took </script> <b>for ever</b>") && await page.locator("#broken-list b").count() === 0);
check("a broken cell", await page.locator(".cell.broken").count() === 1);
await page.screenshot({ path: `${shots}/broken.png` });
assert.deepEqual(wrong, []);
await context.close();
console.log(`the page: ${checks} checks hold`);
