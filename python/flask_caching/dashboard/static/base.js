"use strict";
// What the pages of the dashboard and of the laboratory share.

const $ = (id) => document.getElementById(id);

function trouble(text) {
  $("trouble").hidden = !text;
  $("trouble").textContent = text || "";
}

// A small plot in the colours of `box`: `lines` are pairs of the names of a colour and of that below it.
function plotted(box, data, lines, { height, range, scale = false }) {
  const style = getComputedStyle(box);
  const colour = (name) => (name ? style.getPropertyValue(name).trim() : undefined);
  const side = scale
    ? { size: 34, space: 28, font: "11px system-ui", stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } }
    : { show: false };
  return new uPlot({
    width: Math.max(box.clientWidth, 60),
    height,
    padding: [6, 0, scale ? 6 : 2, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { time: true }, y: { range } },
    axes: [{ show: false }, side],
    series: [{}, ...lines.map(([stroke, below], at) => ({
      stroke: colour(stroke),
      fill: colour(below),
      width: at ? 1 : 1.75,
      spanGaps: false,
      points: { show: false },
    }))],
  }, data, box);
}

// Plots are drawn anew where their colours or their width have changed.
function whenLooksChange(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(redraw, 150); });
}
