// Line and bar charts in SVG, redrawn at the width they have; hover, touch or arrow keys read values.

/** Ticks at 1, 2 or 5 times a power of ten that cover [low, high]. */
function ticks(low, high, about) {
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function tickLabel(x) {
  const size = Math.abs(x);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return x.toExponential(0).replace("e+", "e").replace("-", "−");
  if (size >= 1e4) return count(Math.round(x)).replace("-", "−");
  return String(Number(x.toPrecision(6))).replace("-", "−");
}

/** A figure whose plot is drawn by `draw(width)` whenever its width changes. */
function figure(title, sentence, draw) {
  const plot = el("div", { class: "plot" });
  const node = el("figure", {}, el("figcaption", {}, el("strong", {}, title), sentence), plot);
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.round(plot.clientWidth);
    if (now > 0 && now !== width) { width = now; node.redraw(); }
  }).observe(plot);
  node.redraw = () => { if (width > 0) plot.replaceChildren(...draw(width, plot)); };
  return node;
}

/** The frame of a plot: axes, grid and labels. Returns the drawing and its scales. */
function frame(width, height, x, y, label) {
  const wide = Math.max(...y.ticks.map((t) => y.label(t).length)) * 6.6 + 12;
  const box = { left: wide, right: width - 8, top: 10, bottom: height - 36 };
  const scale = (from, to, domain) => (v) => from + ((v - domain[0]) / (domain[1] - domain[0] || 1)) * (to - from);
  const sx = scale(box.left, box.right, x.domain), sy = scale(box.bottom, box.top, y.domain);
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", tabindex: "0", "aria-label": label });
  for (const t of y.ticks) {
    node.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: sy(t), y2: sy(t) }),
      svg("text", { x: box.left - 7, y: sy(t) + 4, "text-anchor": "end" }, y.label(t)));
  }
  node.append(svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  for (const t of x.ticks) {
    if (t < x.domain[0] || t > x.domain[1]) continue;
    node.append(svg("text", { x: sx(t), y: box.bottom + 16, "text-anchor": "middle" }, x.label(t)));
  }
  node.append(svg("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, x.title));
  return { node, sx, sy, box };
}

/**
 * Lines over a common axis. `spec` gives `series()`, a list of { name, colour, dash, x, y, raw?, low?, high? }, `xTitle`,
 * `format`, and if wanted `domain` of y and `log2` for a doubling axis. Returns the figure.
 */
function lineChart(title, sentence, spec) {
  const node = figure(title, sentence, (width, plot) => {
    const series = spec.series();
    if (series.length === 0) return [el("p", { class: "note" }, "Nothing to show: every method is switched off.")];
    const height = Math.round(Math.min(270, Math.max(190, width * 0.6)));
    const log = spec.log2 ? Math.log2 : (v) => v;
    const xs = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const values = series.flatMap((s) => [s.y, s.raw ?? [], s.low ?? [], s.high ?? []].flat());
    const [low, high] = spec.domain ?? [Math.min(...values), Math.max(...values)];
    const yTicks = ticks(low, high, 4);
    const xEnds = [log(xs[0]), log(xs[xs.length - 1])];
    const xTicks = spec.log2 ? xs.map(log) : ticks(xs[0], xs[xs.length - 1], Math.max(2, Math.floor(width / 90)));
    const { node: drawing, sx, sy, box } = frame(width, height,
      { domain: xEnds, ticks: xTicks, title: spec.xTitle, label: (t) => tickLabel(spec.log2 ? 2 ** t : t) },
      { domain: [yTicks[0], yTicks[yTicks.length - 1]], ticks: yTicks, label: tickLabel },
      `${title}. ${series.map((s) => `${s.name}: from ${spec.format(s.y[0])} to ${spec.format(s.y[s.y.length - 1])}`).join("; ")}.`);
    const path = (s, ys) => s.x.map((v, i) => `${i === 0 ? "M" : "L"}${sx(log(v)).toFixed(1)} ${sy(ys[i]).toFixed(1)}`).join("");
    for (const s of series) {
      if (s.low) {
        const back = s.x.map((v, i) => `L${sx(log(v)).toFixed(1)} ${sy(s.low[i]).toFixed(1)}`).reverse().join("");
        drawing.append(svg("path", { class: "band", d: path(s, s.high) + back + "Z", fill: s.colour }));
      }
      if (s.raw) drawing.append(svg("path", { class: "line raw", d: path(s, s.raw), stroke: s.colour }));
      drawing.append(svg("path", { class: "line", d: path(s, s.y), stroke: s.colour, "stroke-dasharray": s.dash }));
      if (s.x.length === 1 || spec.log2) {
        s.x.forEach((v, i) => drawing.append(svg("circle", { cx: sx(log(v)), cy: sy(s.y[i]), r: 2.6, fill: s.colour })));
      }
    }
    const readings = (x) => series.map((s) => ({ s, i: s.x.indexOf(x) })).filter((r) => r.i >= 0)
      .map(({ s, i }) => [el("span", {}, swatch(s), s.name), spec.format(s.y[i]), s.raw ? `(${spec.format(s.raw[i])})` : ""]);
    return [drawing, cursor(plot, drawing, xs.map((v) => sx(log(v))), box, (i) => ({
      at: sx(log(xs[i])),
      title: `${spec.xTitle} ${xs[i]}`,
      rows: readings(xs[i]),
    }))];
  });
  node.append(dataTable(title, () => {
    const series = spec.series();
    const xs = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const cell = (s, x) => { const i = s.x.indexOf(x); return i < 0 ? "–" : spec.format((s.raw ?? s.y)[i]); };
    return [[spec.xTitle, ...series.map((s) => s.name)], xs.map((x) => [String(x), ...series.map((s) => cell(s, x))])];
  }));
  return node;
}

/** Bars over equal steps or named categories: `spec` gives `labels`, `values`, `xTitle`, `say(i)`, and `log()` for the axis. */
function barChart(title, sentence, spec) {
  const node = figure(title, sentence, (width, plot) => {
    const height = 200;
    const { labels, values } = spec;
    const log = spec.log?.() ?? false;
    // Logarithmic bars start half a decade below 1, so that a count of 1 is seen.
    const size = (v) => (log ? (v > 0 ? Math.log10(v) + 0.5 : 0) : v);
    const top = size(Math.max(...values, 1));
    const yTicks = log ? Array.from({ length: Math.ceil(top - 0.5) + 1 }, (_, i) => i + 0.5) : ticks(0, top, 4).filter(Number.isInteger);
    const most = Math.max(2, Math.floor(width / 48));
    const every = [1, 2, 4, 5, 10].find((n) => labels.length / n <= most) ?? labels.length;
    const { node: drawing, sx, sy, box } = frame(width, height,
      { domain: [0, labels.length], ticks: labels.map((_, i) => i).filter((i) => i % every === 0), title: spec.xTitle, label: (i) => labels[i] },
      { domain: [0, yTicks[yTicks.length - 1]], ticks: yTicks, label: (t) => tickLabel(log ? 10 ** (t - 0.5) : t) },
      `${title}. ${values.map((_, i) => spec.say(i)).filter((_, i) => values[i] > 0).join("; ")}.`);
    const gap = Math.min(3, (sx(1) - sx(0)) * 0.15);
    values.forEach((v, i) => {
      if (v > 0) {
        drawing.append(svg("rect", { class: "value", x: sx(i) + gap / 2, width: Math.max(1, sx(i + 1) - sx(i) - gap),
          y: Math.min(sy(size(v)), box.bottom - 1.5), height: Math.max(1.5, box.bottom - sy(size(v))) }));
      }
    });
    return [drawing, cursor(plot, drawing, labels.map((_, i) => sx(i + 0.5)), box, (i) => ({ at: sx(i + 0.5), title: spec.say(i), rows: [] }))];
  });
  node.append(dataTable(title, () => [[spec.xTitle, "count"], spec.labels.map((label, i) => [spec.range?.(i) ?? label, count(spec.values[i])])]));
  return node;
}

function swatch(series) {
  return el("span", { class: "swatch", style: { "border-color": series.colour, "border-top-style": series.dash ? "dashed" : "solid" } });
}

/** Reads the nearest of `places` on hover, touch and with the arrow keys; `read(i)` gives { at, title, rows }. */
function cursor(plot, drawing, places, box, read) {
  const line = svg("line", { class: "cursor", y1: box.top, y2: box.bottom, visibility: "hidden" });
  drawing.append(line);
  const note = el("div", { class: "readout", hidden: true, role: "status" });
  let index = null;
  const show = (i) => {
    index = Math.max(0, Math.min(places.length - 1, i));
    const { at, title, rows } = read(index);
    for (const end of ["x1", "x2"]) line.setAttribute(end, at);
    line.setAttribute("visibility", "visible");
    note.replaceChildren(el("div", {}, title), ...(rows.length ? [el("table", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))] : []));
    note.hidden = false;
    const room = plot.clientWidth, wide = note.offsetWidth;
    note.style.left = Math.max(0, Math.min(room - wide, at + 12 + wide > room ? at - 12 - wide : at + 12)) + "px";
    note.style.top = box.top + "px";
  };
  const hide = () => { note.hidden = true; line.setAttribute("visibility", "hidden"); };
  const nearest = (event) => {
    const x = event.clientX - drawing.getBoundingClientRect().left;
    return places.reduce((best, place, i) => (Math.abs(place - x) < Math.abs(places[best] - x) ? i : best), 0);
  };
  drawing.addEventListener("pointermove", (event) => show(nearest(event)));
  drawing.addEventListener("pointerdown", (event) => show(nearest(event)));
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") hide();
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    show((index ?? (step > 0 ? -1 : places.length)) + step);
  });
  return note;
}

/** The plotted numbers as a table, made when it is opened. */
function dataTable(title, make) {
  const details = el("details", {}, el("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    const [columns, rows] = make();
    details.replaceChildren(details.firstChild, table("Numbers: " + title, columns, rows));
  });
  return details;
}
