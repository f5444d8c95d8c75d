"use strict";
// Four small plots of the last minutes, drawn by uPlot in the colours of the page.

const Plots = (() => {
  const KEPT = 150;
  const times = [];
  const plots = {};

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw(id, series, range) {
    const box = document.getElementById(id);
    const old = plots[id];
    if (old && old.plot) old.plot.destroy();
    const styles = [["--accent", "--fill"], ["--soft", null]];
    const lines = series.map((_, at) => ({
      stroke: colour(styles[at][0]),
      fill: styles[at][1] ? colour(styles[at][1]) : undefined,
      width: at ? 1 : 1.75,
      spanGaps: false,
      points: { show: false },
    }));
    const plot = new uPlot({
      width: Math.max(box.clientWidth, 60),
      height: 72,
      padding: [6, 0, 2, 0],
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: true }, y: { range } },
      axes: [{ show: false }, { show: false }],
      series: [{}, ...lines],
    }, [times, ...series], box);
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
