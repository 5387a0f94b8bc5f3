// Draws the curves of the page from the data in it. Tables need none of this.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const at = id => document.getElementById(id);
  const color = name => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const kinds = {
    end_to_end: ["end to end", "c1"], ack: ["acknowledged", "c2"], drain: ["wake to drained", "c3"],
    connect: ["connect", "c4"], command: ["command", "c5"],
  };
  // Bottom to top: who is quiet comes first.
  const states = ["asleep", "awake", "dozing", "active", "connecting", "leaving", "disconnected", "off"];

  // Figures for people, as the tables have them.
  const three = v => v === 0 ? "0" : String(+v.toPrecision(3));
  const count = v => v == null ? "" : Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : three(v);
  const percent = v => v == null ? "" : three(100 * v) + " %";
  const seconds = v => {
    if (v == null) return "";
    const a = Math.abs(v);
    if (a === 0) return "0";
    if (a < 1e-3) return three(v * 1e6) + " µs";
    if (a < 1) return three(v * 1e3) + " ms";
    if (a < 60) return three(v) + " s";
    const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const i = units.findIndex(([of]) => a >= of);
    const next = units[i + 1] || units[i];
    const n = Math.round(v / next[0]) * next[0];
    const rest = Math.round((n % units[i][0]) / next[0]);
    return Math.floor(n / units[i][0]) + " " + units[i][1] + (rest && next !== units[i] ? " " + rest + " " + next[1] : "");
  };
  const years = v => v == null ? "" : v === 0 ? "0" : v < 1 ? three(v * 365) + " d" : three(v) + " y";

  const minute = 60, hour = 3600, day = 86400;
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute,
    30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day, 28 * day, 91 * day, 364 * day];

  const lifetimes = [...[1, 2, 5, 10, 20, 30, 60, 90, 180].map(days => days / 365), 1, 2, 5];

  const charts = window.charts = {}; // by the id of the plot: for whoever opens the console
  let group = 0; // 0: all taken together

  const axis = more => ({
    stroke: color("soft"), font: "12px system-ui, sans-serif", gap: 4,
    grid: {stroke: color("line"), width: 1}, ticks: {show: false}, ...more,
  });
  const upright = (value, size = 58) => axis({size, values: (_, all) => all.map(value)});
  const across = axis => ({...axis, size: 24});

  // All of the run, from its start on, unless a part of it is looked at.
  const fromStart = {time: false, range: (_, least, most) => [least === data.at[0] ? 0 : least, most]};

  // The stages as bands, their names, and events as lines, or bands while they last.
  const happenings = {hooks: {drawClear: u => {
    const {ctx, bbox} = u, ratio = devicePixelRatio;
    const x = s => u.valToPos(s, "x", true), end = bbox.left + bbox.width;
    const clip = v => Math.max(bbox.left, Math.min(end, v));
    const band = (from, to, style) => {
      ctx.fillStyle = style;
      ctx.fillRect(clip(x(from)), bbox.top, clip(x(to)) - clip(x(from)), bbox.height);
    };
    ctx.save();
    (data.stages || []).forEach((s, i) => {
      if (i % 2) band(s.at_s, s.at_s + s.for_s, color("band"));
      const left = clip(x(s.at_s)), room = clip(x(s.at_s + s.for_s)) - left - 8 * ratio;
      ctx.font = 11 * ratio + "px system-ui, sans-serif";
      ctx.fillStyle = color("soft");
      ctx.textBaseline = "bottom";
      if (ctx.measureText(s.name).width < room) ctx.fillText(s.name, left + 4 * ratio, bbox.top - 2 * ratio);
    });
    ctx.strokeStyle = color("bad");
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.lineWidth = ratio;
    for (const e of data.events || []) {
      if (e.group && group && e.group !== data.names[group]) continue;
      if (e.for_s) {
        ctx.globalAlpha = 0.12;
        band(e.at_s, e.at_s + e.for_s, color("bad"));
        ctx.globalAlpha = 1;
      }
      ctx.beginPath();
      ctx.moveTo(x(e.at_s), bbox.top);
      ctx.lineTo(x(e.at_s), bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }}};

  // A line is {label, color, xs, ys, fill}; before is drawn dashed. Lines of
  // different moments are joined.
  const join = lines => {
    const tables = new Map();
    for (const l of lines) {
      if (!tables.has(l.xs)) tables.set(l.xs, [l.xs]);
      tables.get(l.xs).push(l.ys);
    }
    const order = [...tables.keys()];
    const sorted = [...lines].sort((a, b) => order.indexOf(a.xs) - order.indexOf(b.xs));
    const all = [...tables.values()];
    return [sorted, all.length > 1 ? uPlot.join(all) : all[0]];
  };

  const draw = (id, lines, options, height = 240) => {
    const to = typeof id === "string" ? at(id) : id;
    const name = to.id || "life-" + to.dataset.life;
    if (charts[name]) charts[name].destroy();
    delete charts[name];
    if (!lines.length || !lines[0].xs.length) {
      to.innerHTML = '<p class="note">Nothing was measured.</p>';
      return;
    }
    to.textContent = "";
    const [sorted, table] = join(lines);
    charts[name] = new uPlot({
      width: to.clientWidth, height, padding: [18, 12, 0, 0],
      cursor: {points: {size: 6}, drag: {x: true, y: false}},
      ...options,
      series: [options.x, ...sorted.map(l => ({
        label: l.label, stroke: color(l.color), width: l.before ? 1.25 : 1.75, dash: l.before ? [5, 4] : undefined,
        fill: l.fill ? color(l.color) + l.fill : undefined, spanGaps: true, points: {show: false},
        value: (_, v) => options.value(v), ...l.more,
      }))],
    }, table, to);
  };

  const overTime = (id, columns, options) => {
    const lines = [];
    const of = (run, before) => {
      const s = run && run.series[group];
      if (s) for (const [key, label, c, fill] of columns) {
        if (!s[key].some(v => v) && (before || key === "commands_delivered_per_s")) continue;
        lines.push({label: before ? label + ", before" : label, color: c, xs: run.at, ys: s[key], fill: before ? "" : fill, before});
      }
    };
    of(data, false);
    of(data.before, true);
    draw(id, lines, {
      x: {label: "at", value: (_, v) => seconds(v)},
      scales: {x: fromStart, y: {range: (_, least, most) => [0, Math.max(most * 1.08, options.least || 0) || 1]}},
      axes: [across(axis({incrs: steps, space: 64, values: (_, all) => all.map(seconds)})), upright(options.value)],
      value: options.value, plugins: [happenings],
    });
  };

  const drawStates = () => {
    const s = data.series[group].states;
    const there = states.filter(name => s[name] && s[name].some(v => v));
    const sum = data.at.map(() => 0);
    // uPlot draws the first series first: the sum of all at the back, the lowest in front.
    const lines = there.map(name => {
      const own = s[name], ys = own.map((v, i) => sum[i] += v);
      return {label: name, color: name, xs: data.at, ys,
        more: {fill: color(name), width: 0.5, value: (_u, _v, _s, i) => i == null ? "" : count(own[i])}};
    }).reverse();
    draw("plot-states", lines, {
      x: {label: "at", value: (_, v) => seconds(v)},
      scales: {x: fromStart, y: {range: (_, least, most) => [0, Math.max(most, 1)]}},
      axes: [across(axis({incrs: steps, space: 64, values: (_, all) => all.map(seconds), grid: {show: false}})), upright(count)],
      value: count, plugins: [happenings],
    });
  };

  const drawLatencies = () => {
    const lines = [];
    const of = (run, before) => {
      const times = run && run.times[group] || {};
      for (const [key, [label, c]] of Object.entries(kinds)) {
        const l = times[key];
        if (!l) continue;
        const xs = [], ys = [];
        l.shares.forEach((share, i) => {
          const x = share < 1 ? 1 / (1 - share) : l.count;
          if (xs.length && x <= xs[xs.length - 1] * 1.0001) return;
          xs.push(x);
          ys.push(Math.max(l.curve_s[i], 1e-6));
        });
        lines.push({label: before ? label + ", before" : label, color: c, xs, ys, before});
      }
    };
    of(data, false);
    of(data.before, true);
    const share = x => x <= 1 ? "0 %" : +(100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 2)) + " %";
    const decade = v => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9;
    const decades = (_, all) => all.map(v => v != null && decade(v) ? v : null);
    const lines10 = {stroke: color("line"), width: 1, filter: decades};
    draw("plot-latency", lines, {
      x: {label: "share", value: (_, v) => v == null ? "" : share(v)},
      scales: {x: {time: false, distr: 3, range: (_, least, most) => [1, Math.max(10, most)]}, y: {distr: 3}},
      axes: [
        across(axis({space: 40, filter: decades, grid: lines10, values: (_, all) => all.map(v => v == null ? "" : share(v))})),
        axis({size: 58, space: 18, filter: decades, grid: lines10, values: (_, all) => all.map(v => v == null ? "" : v >= 1 ? three(v) + " s" : seconds(v))}),
      ],
      value: seconds,
    }, 320);
  };

  const drawLife = to => {
    const g = +to.dataset.life + 1, l = data.lives[g];
    if (!l) return;
    const before = data.before && data.before.lives[g];
    const longest = Math.max(...[l, before].filter(Boolean).map(l => (l.shares.length + 1) * l.bin_years));
    const line = (l, label, before) => {
      const ys = [...l.shares];
      while (ys.length * l.bin_years < longest) ys.push(0);
      return {
        label, color: before ? "c2" : "c1", before, xs: ys.map((_, i) => (i + 0.5) * l.bin_years), ys,
        fill: before ? "" : "99", more: before ? {} : {width: 0, paths: uPlot.paths.bars({size: [0.9, Infinity]})},
      };
    };
    const lines = [line(l, "devices", false)];
    if (before) lines.push(line(before, "before", true));
    draw(to, lines, {
      x: {label: "life", value: (_, v) => years(v)},
      scales: {x: {time: false, range: [0, longest]}, y: {range: (_, least, most) => [0, most * 1.05]}},
      axes: [across(axis({grid: {show: false}, incrs: lifetimes, space: 50, values: (_, all) => all.map(years)})), upright(percent, 52)],
      value: percent, legend: {show: !!before}, padding: [8, 18, 0, 0],
    }, 150);
  };

  const drawAll = () => {
    overTime("plot-messages", [["reports_sent_per_s", "sent", "c2"], ["reports_received_per_s", "received", "c1", "22"],
      ["commands_delivered_per_s", "commands", "c3"]], {value: count});
    overTime("plot-datagrams", [["datagrams_up_per_s", "up", "c1", "22"], ["datagrams_down_per_s", "down", "c2"]], {value: count});
    overTime("plot-loss", [["lost_up_share", "lost up", "c1"], ["lost_down_share", "lost down", "c3"],
      ["retransmissions_share", "sent again", "c2"]], {value: percent, least: 0.01});
    drawStates();
    drawLatencies();
    document.querySelectorAll("[data-life]").forEach(drawLife);
  };

  const resize = () => Object.values(charts).forEach(u => {
    const width = u.root.parentNode.clientWidth;
    if (width && width !== u.width) u.setSize({width, height: u.height});
  });

  drawAll();
  const choice = at("group");
  if (choice) choice.addEventListener("change", () => { group = +choice.value + 1; drawAll(); });
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // On paper all but the longest tables are open, and light.
  const closed = [];
  addEventListener("beforeprint", () => {
    root.classList.add("light");
    document.querySelectorAll("details:not([open]):not(.long)").forEach(d => { closed.push(d); d.open = true; });
    drawAll();
    Object.values(charts).forEach(u => u.setSize({width: Math.min(u.root.parentNode.clientWidth, 640), height: u.height}));
  });
  addEventListener("afterprint", () => {
    root.classList.remove("light");
    while (closed.length) closed.pop().open = false;
    drawAll();
  });
  root.dataset.drawn = Object.keys(charts).length;
})();
