"use strict";
// Four small plots of the last minutes, drawn by uPlot in the colours of the page.

const Plots = (() => {
  const KEPT = 150;
  const times = [];
  const plots = {};

  const LINES = [["--accent", "--fill"], ["--soft", null]];

  function draw(id, series, range) {
    if (plots[id]) plots[id].plot.destroy();
    const plot = plotted(document.getElementById(id), [times, ...series], LINES.slice(0, series.length), { height: 72, range });
    plots[id] = { plot, series, range };
  }

  // From zero, so that a small change does not look like a large one.
  const fromZero = (_, low, high) => [0, high > 0 ? high * 1.1 : 1];

  function start() {
    draw("ratio-plot", [[]], () => [0, 1.02]);
    draw("calls-plot", [[]], fromZero);
    draw("saved-plot", [[]], fromZero);
    draw("latency-plot", [[], []], fromZero);
  }

  // Adds a moment. values: for each plot a list with a number, or null, for each of its lines.
  function add(time, values) {
    times.push(time);
    const surplus = times.length > KEPT;
    if (surplus) times.shift();
    for (const [id, { plot, series }] of Object.entries(plots)) {
      series.forEach((line, at) => {
        line.push(values[id][at]);
        if (surplus) line.shift();
      });
      plot.setData([times, ...series]);
    }
  }

  function redraw() {
    for (const [id, { series, range }] of Object.entries(plots)) draw(id, series, range);
  }

  return { start, add, redraw };
})();
