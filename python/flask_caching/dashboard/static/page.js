"use strict";
// The dashboard. What comes from the server is put into the page as text only, never as markup.

const EVERY = 2000;
// So many rows are shown at first, and more by each press of a button.
const ROWS = 25;
const state = { token: "", paused: false, last: new Map(), functions: [], order: ["misses", -1], named: "", most: ROWS };

// Making elements.

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const fill = (parent, ...children) => parent.replaceChildren(...children.flat().filter(Boolean));

// Numbers for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const known = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => (known(value) ? whole.format(value) : "–");
const percent = (value) => (known(value) ? `${(value * 100).toFixed(value >= 0.9995 || value === 0 ? 0 : 1)} %` : "–");

function rate(value) {
  if (!known(value)) return "–";
  return value >= 100 ? whole.format(value) : value.toFixed(value && value < 10 ? 1 : 0);
}

function scaled(value, units, step) {
  let at = 0;
  while (at < units.length - 1 && value >= step) { value /= step; at += 1; }
  return [value >= 100 || at === 0 ? whole.format(value) : value.toPrecision(3), units[at]];
}

const bytes = (value) => (known(value) ? scaled(value, ["bytes", "kB", "MB", "GB", "TB"], 1000).join(" ") : "–");

// A duration in seconds as a number and its unit.
function duration(value) {
  if (!known(value)) return ["–", ""];
  if (value === 0) return ["0", "s"];
  if (value < 1e-3) return [(value * 1e6).toPrecision(3), "µs"];
  if (value < 1) return [(value * 1e3).toPrecision(3), "ms"];
  if (value < 120) return [Number.isInteger(value) ? whole.format(value) : value.toPrecision(3), "s"];
  if (value < 7200) return [(value / 60).toPrecision(3), "min"];
  if (value < 172800) return [(value / 3600).toPrecision(3), "h"];
  return [whole.format(value / 86400), "days"];
}

const ago = (seconds) => (seconds < 1 ? "now" : `${lasting(Math.round(seconds))} ago`);
const lasting = (value) => duration(value).join(" ").trim();
const share = (part, all) => (all > 0 ? part / all : null);
const asked = (counts) => counts.hits + counts.misses;

// The time within which a part of the operations were done, of pairs of a time and how many took so long.
function quantile(buckets, part) {
  const all = buckets.reduce((sum, [, many]) => sum + many, 0);
  let seen = 0;
  for (const [longest, many] of buckets) {
    seen += many;
    if (all && seen >= part * all) return longest;
  }
  return null;
}

// What is in the buckets now and was not before.
function added(buckets, before) {
  const known = new Map(before);
  return buckets.map(([longest, many]) => [longest, Math.max(0, many - (known.get(longest) || 0))]);
}

// Talking to the server.

async function ask(path, body) {
  const options = { credentials: "same-origin", cache: "no-store", redirect: "error" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json", "X-Cache-Token": state.token };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (response.status === 403) throw new Error((await response.text()).trim());
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}

let toasted;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toasted);
  toasted = setTimeout(() => { $("toast").hidden = true; }, 5000);
}

function live(on, text) {
  $("live").dataset.state = on ? "on" : "off";
  if ($("live").textContent !== text) $("live").textContent = text;
}

// What was said before by the same process. What others left is some seconds old, so that of all
// together the present is compared with what was some seconds ago.
function earlier(process, now) {
  const samples = (state.last.get(process) || []).filter((one) => now - one.now < (process === "all" ? 15 : 60));
  state.last.set(process, samples);
  return process === "all" ? samples[0] : samples[samples.length - 1];
}

// The tiles.

function tiles(data) {
  const now = Date.now() / 1000;
  const { totals } = data;
  const isFirst = !state.last.size;
  const before = earlier(data.process, now);
  state.last.get(data.process).push({ now, totals, latency: data.latency });
  const change = (name) => (before ? Math.max(0, totals[name] - before.totals[name]) : null);
  const seconds = before ? now - before.now : null;
  const calls = before ? Math.max(0, asked(totals) - asked(before.totals)) : null;
  const ratio = calls ? change("hits") / calls : null;
  const perSecond = before ? calls / seconds : null;
  const saving = before ? change("time_saved") / seconds : null;
  const recent = before ? added(data.latency, before.latency) : data.latency;
  const [half, most] = [quantile(recent, 0.5), quantile(recent, 0.99)];

  const overall = share(totals.hits, asked(totals));
  figure("ratio", percent(ratio ?? overall));
  $("ratio-note").textContent = asked(totals) ? `${percent(overall)} of ${count(asked(totals))} calls so far` : "No calls yet";
  figure("calls", rate(perSecond));
  $("calls-note").textContent = calls ? `${count(change("misses"))} of ${count(calls)} had to be computed` : " ";
  figure("saved", ...duration(totals.time_saved));
  $("saved-note").textContent = saving ? `${lasting(saving)} each second` : "hits × what computing takes";
  figure("latency", ...duration(half ?? quantile(data.latency, 0.5)));
  const slowest = most ?? quantile(data.latency, 0.99);
  $("latency-note").textContent = known(slowest) ? `99 % within ${lasting(slowest)}` : "nothing goes to a server or a disk";
  if (before || isFirst) {
    Plots.add(now, {
      "ratio-plot": [ratio],
      "calls-plot": [perSecond],
      "saved-plot": [saving],
      "latency-plot": [half, most],
    });
  }
}

function figure(id, number, unit) {
  fill($(id), document.createTextNode(number), unit ? make("small", unit) : null);
}

const COUNTS = [
  ["hits", "Hits", true], ["misses", "Misses", true], ["near_hits", "From copies nearby"], ["stale", "Stale answers"],
  ["waits", "Waited for another"], ["stored", "Stored", true], ["refused", "Refused", true], ["superseded", "Overtaken"],
  ["asked", "cache.get()"], ["written", "cache.set()"], ["deletions", "Deletions"], ["evictions", "Evictions"],
  ["errors", "Errors", true], ["under_way", "Being computed", true], ["entries", "Entries"], ["bytes", "Stored bytes"],
];

function counts(totals) {
  // Most are of options that are not in use.
  const inUse = ([name, , always]) => known(totals[name]) && (always || totals[name] > 0);
  fill($("counts"), COUNTS.filter(inUse).map(([name, title]) => {
    const pair = make("div");
    const value = make("dd", name === "bytes" ? bytes(totals[name]) : count(totals[name]));
    if (name === "errors" && totals[name] > 0) value.className = "bad";
    pair.append(make("dt", title), value);
    return pair;
  }));
}

// The servers.

function servers(health) {
  const items = health.servers.map((server) => {
    const failing = server.failing_for !== null;
    const said = failing
      ? `${server.is_left_alone ? "left alone" : "failing"} for ${lasting(server.failing_for)}`
      : "well";
    const details = [];
    if (failing) details.push(`${count(server.failures)} operations went without it`);
    if (server.last_error) details.push(`last error, ${ago(server.last_error_age)}: ${server.last_error}`);
    return serverItem(server.server, failing, said, details);
  });
  if (!items.length) items.push(serverItem([health.backend, health.where].filter(Boolean).join(" "), false, "no server", []));
  if (health.near) items.push(copiesNearby(health.near));
  if (health.owes) items.push(serverItem("deletions", true, "owed", ["They reach their server before anything deleted could be read."]));
  fill($("servers"), items);
}

function copiesNearby({ is_current: isCurrent, entries, bytes: size, trouble: why }) {
  const held = `${count(entries)} entries of the server in this process${known(size) ? `, ${bytes(size)}` : ""}`;
  return serverItem("copies nearby", Boolean(why), isCurrent ? "current" : "not read", why ? [held, why] : [held]);
}

function serverItem(name, failing, said, details) {
  const item = make("li", null, failing ? { class: "failing" } : {});
  item.append(make("span", null, { class: "dot" }), make("span", name, { class: "name" }), make("span", said, { class: "state" }));
  details.forEach((detail) => item.append(make("p", detail, { class: "detail" })));
  return item;
}

// The functions.

const COLUMNS = [
  { name: "name", title: "Function", of: (f) => f.name, first: 1 },
  { name: "hits", title: "Hits", of: (f) => f.hits, shown: (f) => count(f.hits) },
  { name: "misses", title: "Misses", of: (f) => f.misses, shown: (f) => count(f.misses) },
  { name: "ratio", title: "Ratio", of: (f) => share(f.hits, asked(f)) ?? -1, cell: ratioCell },
  { name: "refused", title: "Refused", of: (f) => f.refused, shown: (f) => count(f.refused) },
  { name: "mean", title: "One miss", of: (f) => f.mean ?? -1, shown: (f) => lasting(f.mean) },
  { name: "computing", title: "Computing", of: (f) => f.computing ?? -1, shown: (f) => lasting(f.computing) },
  { name: "saved", title: "Saved", of: (f) => f.saved ?? -1, shown: (f) => lasting(f.saved) },
];

function ratioCell(f) {
  const ratio = share(f.hits, asked(f));
  const cell = make("td", percent(ratio));
  const bar = make("span", null, { class: "bar", "aria-hidden": "true" });
  const inner = make("i");
  inner.style.width = `${(ratio ?? 0) * 100}%`;
  bar.append(inner);
  cell.append(bar);
  return cell;
}

function headings() {
  const [order, direction] = state.order;
  fill($("columns"), COLUMNS.map((column) => {
    const sorted = column.name === order ? (direction < 0 ? "descending" : "ascending") : "none";
    const heading = make("th", null, { scope: "col", "aria-sort": sorted });
    const button = make("button", column.title, { type: "button", "data-column": column.name });
    button.addEventListener("click", () => {
      sortBy(column.name, column.name === state.order[0] ? -state.order[1] : column.first || -1);
      $("columns").querySelector(`[data-column="${column.name}"]`).focus();
    });
    heading.append(button);
    return heading;
  }), make("th", " ", { scope: "col" }));
  document.querySelectorAll("[data-order]").forEach((chip) => {
    chip.setAttribute("aria-pressed", String(chip.dataset.order === order && direction < 0));
  });
}

function sortBy(name, direction) {
  state.order = [name, direction];
  headings();
  table();
}

function table() {
  // Whoever is asked a question comes back to the button that asked it.
  if ($("confirm").open) return;
  const focused = document.activeElement?.dataset?.forget;
  const column = COLUMNS.find((one) => one.name === state.order[0]);
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  const sorted = state.functions.filter((f) => f.name.toLowerCase().includes(state.named))
    .sort((a, b) => state.order[1] * compare(column.of(a), column.of(b)) || a.name.localeCompare(b.name));
  fill($("rows"), sorted.slice(0, state.most).map((f) => {
    const row = make("tr");
    COLUMNS.forEach((one) => row.append(one.cell ? one.cell(f) : make("td", (one.shown || one.of)(f))));
    if (f.kind !== "function") row.firstChild.append(make("span", f.kind, { class: "kind" }));
    const last = make("td");
    if (f.can_forget) {
      const button = make("button", "Delete", { type: "button", class: "danger", "data-forget": f.name, "aria-label": `Delete the results of ${f.name}` });
      button.addEventListener("click", () => remove("function", f.name, `Delete the results of ${f.name}?`, "Each call is computed once more."));
      last.append(button);
    }
    row.append(last);
    return row;
  }));
  const left = Math.max(0, sorted.length - state.most);
  $("no-functions").hidden = state.functions.length > 0;
  $("filter").hidden = state.functions.length <= ROWS / 2;
  $("more").hidden = !left;
  $("more").firstChild.textContent = `Show more: ${count(left)} left`;
  if (focused) [...document.querySelectorAll("[data-forget]")].find((one) => one.dataset.forget === focused)?.focus();
}

// The refusals, the newest first.

function refusals(list) {
  const newest = list.slice(0, 30);
  fill($("refusals"), newest.map((one) => {
    const item = make("li");
    item.append(make("time", ago(one.age)), make("b", one.name), make("span", one.count > 1 ? `${one.reason} (${count(one.count)} times)` : one.reason));
    return item;
  }));
  $("no-refusals").hidden = newest.length > 0;
}

// Deleting, after a confirmation.

async function remove(what, name, title, text) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener("close", done, { once: true }); });
  if (dialog.returnValue !== "yes") return;
  try {
    toast((await ask("delete", { what, name })).done);
    refresh();
  } catch (error) {
    toast(error.message);
  }
}

$("look-up").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = $("key").value;
  const entry = $("entry");
  entry.hidden = false;
  try {
    const found = await ask("look-up", { key });
    const rows = [["Key", found.key]];
    if (!found.found) rows.push(["", "There is nothing under this key."]);
    else {
      rows.push(["Type", found.type], ["Size", known(found.size) ? bytes(found.size) : null], ["Expires", found.is_eternal ? "never" : known(found.expires_in) ? `in ${lasting(found.expires_in)}` : null],
        ["Tags", found.tags.join(", ")]);
    }
    fill(entry, rows.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
    if (found.value !== undefined) {
      const cell = make("dd");
      cell.append(make("pre", found.value, { tabindex: "0" }));
      entry.append(make("dt", "Value"), cell);
    }
    if (found.found) {
      const button = make("button", "Delete this key", { type: "button", class: "danger" });
      button.addEventListener("click", () => remove("key", key, "Delete this key?", key));
      const cell = make("dd");
      cell.append(button);
      entry.append(make("dt", ""), cell);
    }
  } catch (error) {
    fill(entry, make("dt", ""), make("dd", error.message));
  }
});

$("delete-all").addEventListener("submit", (event) => {
  event.preventDefault();
  remove("everything", "", "Delete everything?", "Every entry of this cache is deleted, for all processes. Each is computed once more.");
});

$("delete-page").addEventListener("submit", (event) => {
  event.preventDefault();
  const path = $("path").value;
  remove("page", path, `Delete the page ${path}?`, "In all its variants, for all processes.");
});

$("delete-tag").addEventListener("submit", (event) => {
  event.preventDefault();
  const tag = $("tag").value;
  remove("tag", tag, `Delete everything with the tag ${tag}?`, "For all processes.");
});

$("filter").addEventListener("input", () => {
  state.named = $("filter").value.toLowerCase();
  state.most = ROWS;
  table();
});

$("more").firstChild.addEventListener("click", () => { state.most += 4 * ROWS; table(); });

document.querySelectorAll("[data-order]").forEach((chip) => chip.addEventListener("click", () => sortBy(chip.dataset.order, -1)));

$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  if (state.paused) live(false, "Paused"); else refresh();
});

// Once every two seconds, while anybody looks.

async function refresh() {
  try {
    const data = await ask("data");
    state.token = data.token;
    const { health } = data;
    const whereabouts = [data.app, [health.backend, health.where].filter(Boolean).join(" ")].join(" · ");
    if ($("whereabouts").textContent !== whereabouts) $("whereabouts").textContent = whereabouts;
    document.title = `Cache · ${data.app}`;
    tiles(data);
    counts(data.totals);
    servers(health);
    // Fragments are there whether or not a template has any.
    state.functions = data.functions.filter((f) => f.kind !== "fragment" || asked(f) > 0);
    table();
    refusals(data.refusals || []);
    trouble("");
    if (!state.paused) live(true, data.processes > 1 ? `Live, ${count(data.processes)} processes` : "Live");
  } catch (error) {
    live(false, "Not connected");
    trouble(error.message || "The server does not answer.");
  }
}

// Where an answer takes long, as with thousands of functions, the server is asked less often.
let next = 0;
async function tick() {
  const start = performance.now();
  if (state.paused || document.hidden || start < next) return;
  next = Infinity;
  await refresh();
  next = performance.now() + Math.max(0, 9 * (performance.now() - start) - EVERY);
}

addEventListener("load", () => {
  headings();
  Plots.start();
  tick();
  setInterval(tick, EVERY);
  document.addEventListener("visibilitychange", tick);
  whenLooksChange(Plots.redraw);
});
