// The dialogues as they happen, the mailbox and the rules. What clients and servers say is only ever
// set as text.
"use strict";

const at = (id) => document.getElementById(id);
const make = (name, kind, text) => {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
};
let namespace = "main";
let next = 0; // the number of the next event
let connections = new Map();
let shown = ""; // what the lists below were last made of
let turn = 0; // counts changes of the namespace: answers to an earlier one are forgotten

const ask = async (method, path, body) => {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
};
const here = (path = "") => `/v1/namespaces/${encodeURIComponent(namespace)}${path}`;

const words = {
  opened: () => "connected",
  command: (detail) => `→ ${detail}`,
  "mail-data": (detail) => `→ ${detail} octets of mail data`,
  said: (detail) => `← ${detail.replace(/\\r\\n$/, "").replaceAll("\\r\\n", "\n  ")}`,
  committed: () => "committed to the mailbox",
  held: () => "the reply is held",
  ended: (detail) => `the server: ${detail}`,
  gone: () => "the client closed",
  "half-closed": () => "the server closes its side",
  tls: (detail) => `TLS: ${detail}`,
  tunnel: (detail) => `a tunnel by ${detail}`,
  finding: (detail) => `wrong: ${detail}`,
};

const connection = (number) => {
  let known = connections.get(number);
  if (!known) {
    const box = make("details", "open");
    box.open = true;
    box.dataset.connection = number;
    const title = make("summary");
    box.append(title);
    at("connections").prepend(box);
    known = { box, title, events: [], rows: [] };
    connections.set(number, known);
    // The page shows the last hundred; the interface has more.
    if (connections.size > 100) {
      const [oldest, { box: old }] = connections.entries().next().value;
      old.remove();
      connections.delete(oldest);
    }
  }
  return known;
};

const draw = (known, number) => {
  const begun = known.events[0].at;
  const span = Math.max(known.events.at(-1).at - begun, 0.001);
  known.title.textContent = `Connection ${number}: ${known.events.length} events in ${span.toFixed(3)} s`;
  known.rows.forEach((bar, index) => {
    const before = known.events[Math.max(index - 1, 0)].at - begun;
    const now = known.events[index].at - begun;
    bar.style.left = `${(before / span) * 100}%`;
    bar.style.width = `${((now - before) / span) * 100}%`;
  });
};

const take = (events) => {
  const changed = new Set();
  for (const event of events) {
    const known = connection(event.connection);
    const row = make("div", `event ${event.event}`);
    const bar = make("span", "bar");
    const wait = make("i");
    bar.append(wait);
    bar.setAttribute("aria-hidden", "true");
    row.append(make("span", "time", `${event.at.toFixed(3)} s`), bar, make("span", "text", words[event.event](event.detail)));
    known.box.append(row);
    known.events.push(event);
    known.rows.push(wait);
    if (["ended", "gone"].includes(event.event)) known.box.classList.remove("open");
    changed.add(event.connection);
  }
  for (const number of changed) if (connections.has(number)) draw(connections.get(number), number);
  at("nobody").hidden = connections.size > 0;
};

const forget = () => {
  turn += 1;
  next = 0;
  shown = "";
  connections = new Map();
  at("connections").replaceChildren();
  at("message").hidden = true;
  at("nobody").hidden = false;
};

const open = async (number) => {
  const message = await ask("GET", here(`/messages/${number}`));
  const sheet = at("message");
  sheet.querySelector("h3").textContent = `Message ${number}`;
  const facts = [
    ["From", `<${message.reverse_path}> ${message.parameters}`],
    ["To", message.forward_paths.map((path) => `<${path}>`).join(", ")],
    ["EHLO", message.ehlo],
    ["Connection", message.connection],
    ["Octets", message.octets + (message.is_whole ? "" : ", of which the beginning is shown")],
  ];
  sheet.querySelector("dl").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  sheet.querySelector("pre").textContent = message.text;
  sheet.querySelector("a").href = here(`/messages/${number}/raw`);
  sheet.hidden = false;
  sheet.focus();
};

// Phase by kind of fault: how often each was struck, and how often with the message taken.
const grid = ({ phases, cells }) => {
  const faults = [...new Set(cells.map(({ fault }) => fault))].sort();
  const places = [...new Set(cells.map(({ place }) => place))].filter((place) => !phases.some(({ phase }) => phase === place));
  const reached = [...places.map((place) => ({ phase: place, reached: "" })), ...phases.filter(({ phase, reached }) => reached > 0 || cells.some(({ place }) => place === phase))];
  at("uncovered").hidden = cells.length > 0;
  at("coverage").hidden = cells.length === 0;
  const head = make("tr");
  head.append(...["at", "reached", ...faults].map((text) => {
    const cell = make("th", "", text);
    cell.scope = "col";
    return cell;
  }));
  at("coverage").replaceChildren(head, ...reached.map(({ phase, reached }) => {
    const row = make("tr");
    const title = make("th", "", phase);
    title.scope = "row";
    row.append(title, make("td", "", reached), ...faults.map((fault) => {
      const cell = cells.find((one) => one.place === phase && one.fault === fault);
      const box = make("td", cell ? "struck" : "", cell ? cell.strikes : "");
      if (cell) box.title = `${phase}, ${fault}: struck ${cell.strikes}×, ${cell.committed}× with the message taken`;
      return box;
    }));
    return row;
  }));
};

const lists = async () => {
  const [space, { messages }, { rules }, ledger, coverage, { namespaces }] = await Promise.all([
    ask("GET", here()), ask("GET", here("/messages")), ask("GET", here("/rules")), ask("GET", here("/ledger")), ask("GET", here("/coverage")), ask("GET", "/v1/namespaces"),
  ]);
  const now = JSON.stringify([space, messages, rules, ledger, coverage, namespaces]);
  if (now === shown) return;
  shown = now;
  at("where").textContent = `${space.address}, TLS ${space.tls}, ${space.connections} connections, ${space.open} open`;
  for (const one of document.querySelectorAll(".address")) one.textContent = space.address;
  at("count").textContent = messages.length;
  at("empty").hidden = messages.length > 0;
  at("messages").replaceChildren(...messages.map((message) => {
    const item = make("li");
    const button = make("button", "", `${message.number}  <${message.reverse_path}> → ${message.forward_paths.join(", ")}, ${message.octets} octets`);
    button.type = "button";
    button.addEventListener("click", () => open(message.number));
    item.append(button);
    return item;
  }));
  at("rules").replaceChildren(...rules.map((rule) => {
    const item = make("li", "", "");
    const button = make("button", "", "Remove");
    button.type = "button";
    button.addEventListener("click", async () => { await ask("DELETE", here(`/rules/${rule.id}`)); await lists(); });
    item.append(make("span", "", `${rule.rule}  (struck ${rule.strikes}×)`), button);
    if (rule.waiting.length > 0) {
      const release = make("button", "release", `Let ${rule.waiting.length} go`);
      release.type = "button";
      release.addEventListener("click", async () => { await ask("POST", here(`/rules/${rule.id}/release?count=${rule.waiting.length}`)); await lists(); });
      button.before(release);
    }
    return item;
  }));
  grid(coverage);
  at("findings").replaceChildren(...ledger.findings.map(({ connection, what }) => make("li", "", `Connection ${connection}: ${what}`)));
  const names = namespaces.map(({ name }) => name);
  const select = at("namespace");
  if (names.join() !== [...select.options].map(({ value }) => value).join()) {
    select.replaceChildren(...names.map((name) => new Option(name, name, false, name === namespace)));
  }
};

const follow = async () => {
  for (;;) {
    const mine = turn;
    try {
      const answer = await ask("GET", here(`/transcript?since=${next}&wait=2s`));
      if (mine !== turn) continue;
      next = answer.next;
      take(answer.events);
      await lists();
    } catch (error) {
      at("where").textContent = `not to be reached: ${error.message}`;
      if (namespace !== "main") { namespace = "main"; forget(); }
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
};

at("namespace").addEventListener("change", (event) => { namespace = event.target.value; forget(); lists(); });
at("close").addEventListener("click", () => { at("message").hidden = true; at("messages").querySelector("button")?.focus(); });
at("reset").addEventListener("click", async () => { await ask("POST", here("/reset")); const from = next; forget(); next = from; await lists(); });
at("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
const behaviours = new Set();
at("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("rule").value.trim();
  try {
    await ask("POST", here("/rules"), behaviours.has(text) ? { behaviour: text } : { rule: text });
    at("rule").value = "";
    at("wrong").textContent = "";
    await lists();
  } catch (error) {
    at("wrong").textContent = error.message;
  }
});
ask("GET", "/v1/behaviours").then((answer) => {
  for (const { name, wrong } of answer.behaviours) {
    behaviours.add(name);
    at("behaviours").append(new Option(wrong, name));
  }
});
lists().catch(() => {});
follow();
