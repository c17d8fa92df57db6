"use strict";
const { results, guarantees, holds } = JSON.parse(document.getElementById("data").textContent);
const cells = results.cells, sweeps = results.sweeps;
const $ = (id) => document.getElementById(id);
const el = (tag, attributes = {}, ...inside) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...inside.filter((x) => x !== null && x !== undefined));
  return node;
};
const number = (n) => Math.round(n).toLocaleString("en");
const seconds = (us) => (us / 1e6).toFixed(3) + " s";
const short = (us) => (us >= 99.5e6 ? (us / 1e6).toFixed(0) : us >= 1e6 ? (us / 1e6).toFixed(1) : (us / 1e6).toFixed(2).replace(/^0/, ""));
const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
const MARKS = { "accepted": ["✓", "accepted"], "not accepted": ["–", "refused"], "ambiguous": ["?", "ambiguous"] };
const place = (cell) => cell.place + (cell.setting ? ` (${cell.setting})` : "");
const id = (cell) => [cell.backend, cell.place, cell.fault, cell.setting].filter(Boolean).join("/");
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const replay = (cell) => `postbound replay --backend ${cell.backend} ${quoted(cell.case)}`;

function table(parent, head, rows, classes = []) {
  const line = (tag, row) => el("tr", {}, ...row.map((value, i) => {
    const cell = el(i === 0 && tag === "td" ? "th" : tag, { class: classes[i], scope: i === 0 && tag === "td" ? "row" : tag === "th" ? "col" : null });
    cell.append(value === null ? "" : value);
    if (value === 0) cell.classList.add("zero");
    return cell;
  }));
  parent.replaceChildren(el("table", { class: "plain" }, el("thead", {}, line("th", head)), el("tbody", {}, ...rows.map((row) => line("td", row)))));
}

// The verdict and the figures.
const held = cells.filter((c) => c.verdict === "holds").length;
const brokenCells = cells.filter((c) => c.violations.length);
const skippedCells = cells.filter((c) => c.verdict === "skipped");
const ran = cells.filter((c) => c.ran);
const sum = (list, of) => list.reduce((total, x) => total + of(x), 0);
const swept = sum(sweeps, (s) => s.cases);
const sweptBroken = sum(sweeps, (s) => sum(Object.values(s.broken), (n) => n));
const coverage = results.coverage;
const goals = Object.entries(coverage.goals).map(([name, count]) => ({ name, count }));
const missed = goals.filter((g) => !g.count);
const verdict = $("verdict");
if (holds) verdict.textContent = `Everything holds: ${plural(held, "cell", "cells")} of the matrix${swept ? ` and ${plural(swept, "case", "cases")} beyond it` : ""}.`;
else {
  verdict.className = "bad";
  verdict.textContent = [brokenCells.length && `${plural(brokenCells.length, "cell is", "cells are")} broken`, sweptBroken && `${plural(sweptBroken, "violation", "violations")} beyond the matrix`, missed.length && `${plural(missed.length, "goal was", "goals were")} never hit`].filter(Boolean).join("; ") + ".";
}
const closest = ran.reduce((most, c) => (most && most.ran.elapsed / most.promise >= c.ran.elapsed / c.promise ? most : c), null);
const figure = (value, what) => el("div", {}, el("dt", {}, what), el("dd", {}, value));
$("figures").append(figure(number(ran.length), `cells were run on ${plural(new Set(cells.map((c) => c.backend)).size, "network", "networks")}; ${number(skippedCells.length)} skipped with a reason`));
if (swept) $("figures").append(figure(number(swept), "further cases, exhaustive and random"));
if (closest) $("figures").append(figure(Math.round(100 * closest.ran.elapsed / closest.promise) + " %", `of its promise is the most that any call needed (${place(closest)}, ${closest.fault})`));
$("figures").append(figure(number(sum(ran, (c) => c.ran.outcome === "ambiguous" ? 1 : 0)), "calls ended as ambiguous, each between the end of mail data and its reply"));

// What is broken.
const brokenOnes = [...brokenCells.map((c) => ({ what: c.violations, where: `${c.backend}, ${place(c)}: ${c.fault}`, line: replay(c) })), ...results.broken.map((b) => ({ what: b.violations, where: b.backend, line: replay(b) }))];
if (brokenOnes.length) {
  $("broken").hidden = false;
  $("broken-list").append(...brokenOnes.map((b) => el("div", { class: "broken-case" }, el("strong", {}, b.where), el("div", {}, b.what.join("; ")), el("code", {}, b.line))));
}

// The matrix.
const backends = [...new Set(cells.map((c) => c.backend))];
const state = { backend: backends[0], filter: null };
const buttons = new Map();

function tile(cell, named) {
  const button = el("button", { type: "button", class: "cell", "data-id": id(cell), tabindex: "-1", onclick: () => open(cell) });
  let spoken;
  if (cell.ran) {
    const share = Math.min(1, cell.ran.elapsed / cell.limit);
    button.style.setProperty("--t", share.toFixed(3));
    if (share > 0.55) button.classList.add("deep");
    const [mark, name] = MARKS[cell.ran.outcome];
    spoken = `${name === "refused" ? "not accepted" : name} after ${seconds(cell.ran.elapsed)}`;
    button.append(...(named ? [el("span", {}, cell.fault)] : []), el("span", { class: "mark", "aria-hidden": "true" }, cell.violations.length ? "!" : mark), el("span", { class: "time", "aria-hidden": "true" }, short(cell.ran.elapsed)));
  } else {
    spoken = "skipped";
    button.append(...(named ? [el("span", {}, cell.fault)] : []), el("span", { class: "time", "aria-hidden": "true" }, "skip"));
    button.classList.add("skipped");
  }
  if (cell.violations.length) { button.classList.add("broken"); spoken = "broken, " + spoken; }
  button.setAttribute("aria-label", `${place(cell)}, ${cell.fault}: ${spoken}`);
  button.title = `${place(cell)}: ${cell.fault}\n${cell.explain}\n${spoken}`;
  buttons.set(id(cell), button);
  return button;
}

function draw() {
  buttons.clear();
  const mine = cells.filter((c) => c.backend === state.backend);
  const rows = Map.groupBy ? Map.groupBy(mine, place) : mine.reduce((m, c) => m.set(place(c), [...(m.get(place(c)) || []), c]), new Map());
  const spread = new Map();
  for (const row of rows.values()) for (const c of row) spread.set(c.fault, (spread.get(c.fault) || 0) + 1);
  const most = Math.max(0, ...[...rows.values()].map((row) => row.filter((c) => spread.get(c.fault) > rows.size / 2).length));
  const shared = [...spread.keys()].filter((f) => spread.get(f) > rows.size / 2);
  const inGrid = [...rows].filter(([, row]) => row.filter((c) => shared.includes(c.fault)).length > most * 0.8);
  const grid = el("table", { class: "heat", role: "grid", "aria-label": `Faults on ${state.backend}` },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { style: "writing-mode:horizontal-tb;transform:none" }, "fault at")), ...shared.map((f) => el("th", { scope: "col" }, el("span", {}, f))))),
    el("tbody", {}, ...inGrid.map(([name, row]) => el("tr", {}, el("th", { scope: "row" }, name), ...shared.map((f) => { const c = row.find((c) => c.fault === f); return el("td", {}, c ? tile(c, false) : ""); })))));
  $("grid").replaceChildren(grid);
  const strips = [];
  for (const [name, row] of rows) {
    const own = inGrid.some(([n]) => n === name) ? row.filter((c) => !shared.includes(c.fault)) : row;
    if (own.length) strips.push(el("div", { class: "strip" }, el("h4", {}, name), el("div", { role: "group", "aria-label": name }, ...own.map((c) => tile(c, true)))));
  }
  $("strips").replaceChildren(...strips);
  for (const group of [grid, ...$("strips").querySelectorAll("[role=group]")]) roving(group);
  highlight();
}

// One stop of the tabulator for each group; the arrow keys move inside.
function roving(group) {
  const all = [...group.querySelectorAll(".cell")];
  if (!all.length) return;
  all[0].tabIndex = 0;
  const go = (to) => { if (!to) return; for (const b of all) b.tabIndex = -1; to.tabIndex = 0; to.focus(); };
  group.addEventListener("focusin", (event) => { if (event.target.classList.contains("cell")) { for (const b of all) b.tabIndex = -1; event.target.tabIndex = 0; } });
  group.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const box = all[at].getBoundingClientRect(), middle = box.left + box.width / 2;
    const vertical = (down) => all.map((b) => [b, b.getBoundingClientRect()]).filter(([, r]) => (down ? r.top > box.bottom - 2 : r.bottom < box.top + 2))
      .sort(([, a], [, b]) => Math.abs(a.top - box.top) - Math.abs(b.top - box.top) || Math.abs(a.left + a.width / 2 - middle) - Math.abs(b.left + b.width / 2 - middle))[0]?.[0];
    const moves = { ArrowRight: () => all[at + 1], ArrowLeft: () => all[at - 1], ArrowDown: () => vertical(true), ArrowUp: () => vertical(false), Home: () => all[0], End: () => all.at(-1) };
    if (moves[event.key]) { event.preventDefault(); go(moves[event.key]()); }
  });
}

const FILTERS = [["accepted", (c) => c.ran?.outcome === "accepted"], ["not accepted", (c) => c.ran?.outcome === "not accepted"], ["ambiguous", (c) => c.ran?.outcome === "ambiguous"], ["at the limit", (c) => c.ran && c.ran.elapsed >= c.limit], ["skipped", (c) => !c.ran], ["broken", (c) => c.violations.length > 0]];
function highlight() {
  const fits = FILTERS.find(([name]) => name === state.filter)?.[1];
  for (const c of cells) if (c.backend === state.backend) buttons.get(id(c))?.classList.toggle("dim", !!fits && !fits(c));
}
function controls() {
  $("backends").replaceChildren(...backends.map((b) => el("button", { type: "button", "aria-pressed": String(b === state.backend), onclick: () => { state.backend = b; controls(); draw(); } }, b)));
  const mine = cells.filter((c) => c.backend === state.backend);
  $("filters").replaceChildren(...FILTERS.filter(([, fits]) => mine.some(fits)).map(([name, fits]) => el("button", { type: "button", "aria-pressed": String(name === state.filter), onclick: () => { state.filter = state.filter === name ? null : name; controls(); highlight(); } }, `${name} `, el("span", { class: "note" }, number(mine.filter(fits).length)))));
}
$("legend").append(el("span", {}, "at once", el("span", { class: "ramp" }), "the phase's limit"), ...Object.entries(MARKS).map(([name, [mark]]) => el("span", {}, `${mark} ${name}`)), el("span", {}, "seconds below"));
if (backends.length) { controls(); draw(); }

// A cell's dialogue.
const dialog = $("detail");
let opener = null;
function fall(cell) {
  const run = cell.ran, shift = run.met ?? 0, total = Math.max(run.elapsed, 1);
  const lane = (from, to) => {
    const left = Math.min(100, 100 * from / total), right = Math.min(100, 100 * to / total);
    const bar = el("i"); bar.style.left = `min(${left}%, 100% - 4px)`; bar.style.width = `${Math.max(0, right - left)}%`;
    return el("td", { class: "lane" }, el("div", {}, bar));
  };
  const rows = [];
  let ended = false, last = 0;
  const end = () => { ended = true; rows.push(el("tr", { class: "end" }, el("td", { class: "when" }, seconds(run.elapsed)), lane(last, run.elapsed), el("td", { class: "say" }, `the call ends: ${run.claim}`))); last = run.elapsed; };
  for (const line of run.dialogue) {
    const at = line.at + shift;
    if (!ended && (at > run.elapsed || (at === run.elapsed && line.text === "[closed]"))) end();
    const arrow = line.from === "client" ? "→ " : line.from === "server" ? "← " : "";
    rows.push(el("tr", { class: line.from }, el("td", { class: "when" }, seconds(at)), lane(last, at), el("td", { class: "say mono" }, arrow + line.text.replaceAll("\\r\\n", arrow ? "\n  " : "\n"))));
    last = at;
  }
  if (!ended) end();
  if (run.more) rows.push(el("tr", {}, el("td"), el("td"), el("td", { class: "say note" }, `… ${plural(run.more, "more event", "more events")}`)));
  return el("table", { class: "fall" }, el("tbody", {}, ...rows));
}
function phases(cell) {
  const total = Math.max(cell.ran.elapsed, 1);
  let begun = 0;
  return el("table", { class: "fall" }, el("tbody", {}, ...cell.ran.phases.map(([name, spent]) => {
    const bar = el("i"); bar.style.left = `min(${100 * begun / total}%, 100% - 4px)`; bar.style.width = `${100 * spent / total}%`;
    begun += spent;
    return el("tr", { class: "phase" }, el("td", { class: "when" }, seconds(spent)), el("td", { class: "lane" }, el("div", {}, bar)), el("td", { class: "say" }, name + (name === cell.ran.phase ? " (here it ended)" : "")));
  })));
}
const inMailbox = (n) => n === 0 ? "the mailbox has no message" : `the mailbox has ${plural(n, "message", "messages")}`;
function peersOf(cell) {
  const said = (p) => p.not_tried ? `not tried: ${p.not_tried}` : p.ended ? `${p.end} after ${seconds(p.elapsed)}; ${inMailbox(p.mailbox)}` : `${p.end}; ${inMailbox(p.mailbox)}`;
  return el("dl", { class: "facts peers" }, ...cell.peers.flatMap((p) => [el("dt", {}, p.client), el("dd", {}, said(p), p.error ? el("div", { class: "note" }, p.error) : null)]));
}
async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); } catch {
    const area = el("textarea", {}); area.value = text; dialog.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
function open(cell) {
  const mine = cells.filter((c) => c.backend === cell.backend), at = mine.indexOf(cell), run = cell.ran;
  const step = (by) => el("button", { type: "button", "aria-label": by < 0 ? "Previous cell" : "Next cell", disabled: !mine[at + by], onclick: () => open(mine[at + by]) }, by < 0 ? "←" : "→");
  const sheet = el("div", { class: "sheet" }, el("div", { class: "top" }, el("h2", { id: "detail-title" }, `${place(cell)}: ${cell.fault}`), el("div", { class: "steps" }, step(-1), step(1), el("button", { type: "button", id: "close", onclick: () => dialog.close() }, "Close"))),
    el("p", { class: "note" }, cell.explain.charAt(0).toUpperCase() + cell.explain.slice(1) + `. ${cell.harmless ? "A good client delivers all the same." : "The message must not be called accepted."}`));
  if (cell.violations.length) sheet.append(el("div", { class: "broken-case" }, el("strong", {}, "Broken: "), cell.violations.join("; ")));
  if (run) {
    const bar = el("i"); bar.style.width = `${100 * Math.min(1, run.elapsed / cell.promise)}%`;
    const mailbox = run.mailbox === 0 ? "has no message" : `has ${plural(run.mailbox, "message", "messages")}`;
    sheet.append(el("dl", { class: "facts" }, el("dt", {}, "the client says"), el("dd", { class: MARKS[run.outcome][1] }, run.claim), el("dt", {}, "the server's mailbox"), el("dd", {}, mailbox), el("dt", {}, "it took"), el("dd", {}, `${seconds(run.elapsed)} of at most ${seconds(cell.promise)}; the phase's own limit is ${seconds(cell.limit)}`)),
      el("div", { class: "bound", "aria-hidden": "true" }, bar), el("div", { class: "scale" }, el("span", {}, "0"), el("span", {}, `promised: ${seconds(cell.promise)}`)),
      el("h3", {}, "The dialogue"), run.dialogue.length ? fall(cell) : el("p", { class: "note" }, "The server was never reached."));
    if (cell.peers?.length) sheet.append(el("h3", {}, "Other clients here"), peersOf(cell));
    if (run.phases.length) sheet.append(el("h3", {}, "Where the time went"), phases(cell));
  } else sheet.append(el("p", {}, cell.skipped));
  const button = el("button", { type: "button", id: "copy" }, "Copy");
  const text = replay(cell);
  button.addEventListener("click", () => copy(text, button));
  sheet.append(el("h3", {}, "Run it again"), el("div", { class: "replay" }, el("code", {}, text), button));
  dialog.replaceChildren(sheet);
  if (!dialog.open) { opener = document.activeElement; dialog.showModal(); }
  dialog.scrollTop = 0;
  history.replaceState(null, "", "#" + encodeURI(id(cell)));
}
dialog.addEventListener("close", () => { history.replaceState(null, "", location.pathname + location.search); opener?.focus(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  const button = { ArrowLeft: "Previous cell", ArrowRight: "Next cell" }[event.key];
  if (button) { event.preventDefault(); dialog.querySelector(`[aria-label="${button}"]`)?.click(); }
});
function fromHash() {
  const wanted = decodeURI(location.hash.slice(1)), cell = cells.find((c) => id(c) === wanted);
  if (!cell) return;
  if (state.backend !== cell.backend) { state.backend = cell.backend; controls(); draw(); }
  open(cell);
}

// The tables.
const count = (test) => brokenCells.filter((c) => c.violations.some(test)).length;
const inSweeps = (g) => sum(sweeps, (s) => s.broken[g] || 0);
const checked = coverage.checked;
table($("guarantee-table"), ["", "", "what it says", "checked on", "broken"], guarantees.map((g) => {
  const n = count((v) => v.startsWith(g.id + ":")) + inSweeps(g.id);
  return [g.id.toUpperCase(), g.name, g.promise, checked[g.id] ? `${number(checked[g.id])} runs` : "", n ? el("span", { class: "no" }, number(n)) : el("span", { class: "ok" }, "none")];
}), [null, "tight", "wide", "n", "n"]);
if (sweeps.length) {
  $("sweeps").hidden = false;
  table($("sweep-table"), ["what", "network", "cases", "skipped", "accepted", "not accepted", "ambiguous", "violations", "cases/s and core"], sweeps.map((s) => [s.name + (s.shards.length === 1 && s.shards[0] === "1/1" ? "" : ` (${plural(s.shards.length, "shard", "shards")})`), s.backend, number(s.cases), number(sum(Object.values(s.skipped), (n) => n)), number(s.outcomes["accepted"] || 0), number(s.outcomes["not accepted"] || 0), number(s.outcomes["ambiguous"] || 0), sum(Object.values(s.broken), (n) => n) ? el("span", { class: "no" }, number(sum(Object.values(s.broken), (n) => n))) : el("span", { class: "ok" }, "none"), s.core_seconds ? number(s.cases / s.core_seconds) : ""]), ["wide", null, "n", "n", "n", "n", "n", "n", "n"]);
}
for (const s of sweeps.filter((s) => Object.keys(s.notes).length)) $("sweep-table").after(el("p", { class: "note" }, `${s.name} on ${s.backend}: ` + Object.entries(s.notes).sort(([, a], [, b]) => b - a).map(([what, n]) => `${number(n)} ${what}`).join("; ") + "."));
const asked = cells.filter((c) => c.peers?.length);
if (asked.length) {
  $("peers").hidden = false;
  const clients = [...new Set(asked.flatMap((c) => c.peers.map((p) => p.client)))];
  const of = (list, client) => list.flatMap((c) => c.peers).filter((p) => p.client === client);
  const made = (list, client) => of(list, client).filter((p) => !p.not_tried);
  const rows = [...new Set(asked.map(place))].map((name) => [name, asked.filter((c) => place(c) === name)]).filter(([, list]) => clients.some((c) => made(list, c).length));
  table($("peers-table"), ["fault at", ...clients], rows.map(([name, list]) => [name, ...clients.map((c) => { const all = made(list, c), open = all.filter((p) => !p.ended).length; return all.length ? `${open} of ${all.length}` : "not tried"; })]), [null, ...clients.map(() => "n")]);
  const ends = [...new Set(clients.flatMap((c) => made(asked, c).map((p) => p.end)))].sort();
  const tally = (what, test) => [what, ...clients.map((c) => made(asked, c).filter(test).length)];
  table($("peers-ends"), ["calls", ...clients], [tally("made", () => true), ...ends.map((end) => tally(end, (p) => p.end === end)), tally("error, but delivered", (p) => p.failed_but_delivered), tally("sent, but not delivered", (p) => p.sent_but_not_delivered)], [null, ...clients.map(() => "n")]);
  for (const client of clients) {
    const why = new Map();
    for (const p of of(asked, client)) if (p.not_tried) why.set(p.not_tried, (why.get(p.not_tried) || 0) + 1);
    if (why.size) $("peers-notes").append(el("p", { class: "note" }, `${client}, not tried: ` + [...why].map(([reason, n]) => `${number(n)}, because ${reason}`).join("; ") + "."));
  }
}
const covered = new Map();
for (const [[where, fault, outcome, backend], n] of coverage.places) {
  const row = covered.get(where) || { faults: new Set(), counts: {} }, key = `${backend}/${outcome}`;
  row.faults.add(fault); row.counts[key] = (row.counts[key] || 0) + n;
  covered.set(where, row);
}
const networks = [...new Set([...covered.values()].flatMap((row) => Object.keys(row.counts).map((k) => k.split("/")[0])))];
table($("coverage-table"), ["fault at", "faults", ...networks.flatMap((b) => [`${b} ✓`, "–", "?"])], [...covered].map(([where, row]) => [where, number(row.faults.size), ...networks.flatMap((b) => Object.keys(MARKS).map((o) => row.counts[`${b}/${o}`] ? number(row.counts[`${b}/${o}`]) : 0))]), [null, "n", ...networks.flatMap(() => ["n", "n", "n"])]);
if (goals.length) $("goals").append(el("h3", {}, `What must happen sometimes: ${goals.length - missed.length} of ${goals.length}`), el("ul", {}, ...goals.map((g) => el("li", {}, el("span", { class: g.count ? "ok" : "no" }, g.count ? "✓ " : "never: "), g.name, " ", el("span", { class: "note" }, g.count ? number(g.count) : "")))));
const reasons = new Map();
const reason = (network, why, n, example) => { const key = `${network}\n${why}`; const row = reasons.get(key) || { n: 0, example }; row.n += n; reasons.set(key, row); };
for (const c of skippedCells) reason(c.backend, c.skipped.split(": ").at(-1), 1, `${place(c)}: ${c.fault}`);
for (const s of sweeps) for (const [why, n] of Object.entries(s.skipped)) reason(s.backend, why, n, s.name);
if (reasons.size) {
  $("skipped").hidden = false;
  table($("skipped-table"), ["network", "why", "how many", "such as"], [...reasons].map(([key, row]) => [...key.split("\n"), number(row.n), row.example]), [null, "wide", "n"]);
}
$("footer").append(el("p", {}, `postbound ${results.version}. The same page is made by `, el("code", {}, "postbound matrix --backend mem,turmoil,loopback --peers --report out.html"), "; every cell is run again by the line in its sheet."));

// The theme.
$("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
fromHash();
addEventListener("hashchange", fromHash);
