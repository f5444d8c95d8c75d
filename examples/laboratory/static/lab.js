"use strict";
// Both sides once a second. What comes from the server is put into the page as text.

const KEPT = 120;
const sides = new Map();
const times = [];
const TITLES = {};
const BACK = { stop: "Start the cache server", freeze: "Let it go on" };
document.querySelectorAll("[data-press]").forEach((button) => { TITLES[button.dataset.press] = button.textContent; });

function seconds(value) {
  if (value === null) return "–";
  return value < 1 ? `${(value * 1000).toPrecision(3)} ms` : `${value.toPrecision(3)} s`;
}

const SHOWN = {
  answered: (value) => value.toFixed(0),
  failed: (value) => value.toFixed(value && value < 10 ? 1 : 0),
  hit_ratio: (value) => (value === null ? "–" : `${(value * 100).toFixed(0)} %`),
  p99: seconds,
  workers: String,
};

function make(side) {
  const element = $("side").content.firstElementChild.cloneNode(true);
  element.classList.add(side.name);
  element.querySelector("h2").textContent = side.title;
  element.querySelector("a").href = `log/${encodeURIComponent(side.name)}`;
  $("sides").append(element);
  const made = { element, plots: {} };
  for (const name of PLOTS) made[name] = [];
  sides.set(side.name, made);
  return made;
}

const PLOTS = ["answered", "p99", "hit_ratio"];

// Both sides on one scale: the larger value of both is its end.
function range(name) {
  if (name === "hit_ratio") return [0, 1.05];
  const all = [...sides.values()].flatMap((side) => side[name]).filter((value) => value !== null);
  return [0, Math.max(name === "p99" ? 0.1 : 10, ...all) * 1.08];
}

function draw(made) {
  for (const name of PLOTS) {
    if (made.plots[name]) made.plots[name].destroy();
    const box = made.element.querySelector(`[data-plot=${name}]`);
    made.plots[name] = plotted(box, [times, made[name]], [["--side", "--fill"]], { height: 90, range: () => range(name), scale: true });
  }
}

function show(state) {
  $("rate").textContent = `${state.rate} `;
  $("backend").textContent = state.server === null ? "; the cache is files" : " and one Redis server";
  times.push(Date.now() / 1000);
  const surplus = times.length > KEPT;
  if (surplus) times.shift();
  for (const side of state.sides) {
    const made = sides.get(side.name) || make(side);
    for (const [name, shown] of Object.entries(SHOWN)) {
      const place = made.element.querySelector(`[data-figure=${name}]`);
      place.textContent = shown(side[name]);
      if (name === "failed") place.className = side.failed > 0 ? "bad" : "";
    }
    for (const name of PLOTS) {
      made[name].push(side[name]);
      if (surplus) made[name].shift();
    }
  }
  for (const made of sides.values()) if (!made.plots.answered) draw(made);
  for (const made of sides.values()) {
    for (const name of PLOTS) made.plots[name].setData([times, made[name]]);
  }
  server(state.server);
  came(state.said);
}

function server(state) {
  $("server").textContent = state === null ? "No redis-server here: no button to stop or freeze it." : `The cache server is ${state}.`;
  for (const [name, off] of [["stop", "stopped"], ["freeze", "frozen"]]) {
    const button = document.querySelector(`[data-press=${name}]`);
    button.hidden = state === null;
    button.classList.toggle("on", state === off);
    button.textContent = (state === off ? BACK : TITLES)[name];
  }
}

let shown = "";
function came(said) {
  const text = JSON.stringify(said);
  if (text === shown) return;
  shown = text;
  $("nothing").hidden = said.length > 0;
  $("came").replaceChildren(...said.map((one) => {
    const item = document.createElement("li");
    const title = document.createElement("b");
    title.textContent = (one.server === "running" && BACK[one.button]) || TITLES[one.button];
    item.append(title);
    if (one.came.every((sentence) => sentence === one.came[0])) {
      const line = document.createElement("p");
      line.append(document.createElement("span"), one.came[0]);
      line.firstChild.textContent = "both";
      item.append(line);
      return item;
    }
    [...sides.values()].forEach((side, at) => {
      const line = document.createElement("p");
      const name = document.createElement("span");
      name.textContent = side.element.querySelector("h2").textContent;
      line.append(name, one.came[at]);
      item.append(line);
    });
    return item;
  }));
}

async function press(button) {
  button.disabled = true;
  try {
    const answer = await fetch(`press/${button.dataset.press}`, { method: "POST", headers: { "X-Laboratory": "button" } });
    if (!answer.ok) throw new Error(`The laboratory answered ${answer.status}.`);
  } catch (error) {
    trouble(error.message);
  }
  button.disabled = false;
  tick();
}

async function tick() {
  try {
    show(await (await fetch("state", { cache: "no-store" })).json());
    trouble("");
  } catch (error) {
    trouble("The laboratory does not answer.");
  }
}

addEventListener("load", () => {
  document.querySelectorAll("[data-press]").forEach((button) => button.addEventListener("click", () => press(button)));
  tick();
  setInterval(tick, 1000);
  whenLooksChange(() => sides.forEach(draw));
});
