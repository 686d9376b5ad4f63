// What was run on what, how the methods fared, and what it cost.

function overview(data) {
  const node = section("overview", "Overview",
    "How often each method answers the held-out questions right, and what the run took.");
  if (data.table) node.append(...accuracyTable(data.table));
  if (data.seeds) node.append(...seedTable(data.seeds));
  if (data.sampled.length > 0) node.append(sampledCurves(data.sampled));
  const columns = el("div", { class: "columns" });
  if (data.costs.stages.length > 0) columns.append(costs(data.costs.stages));
  if (data.facts.length > 0) {
    columns.append(el("div", {}, el("h3", {}, "What was run on what"),
      el("dl", { class: "plain-list" }, data.facts.map((fact) => el("div", {}, el("dt", {}, fact.name), el("dd", {}, fact.value))))));
  }
  node.append(columns);
}

function accuracyTable(methods) {
  const top = niceTop(Math.max(...methods.rows.map((row) => row.interval.high)));
  const unanswered = methods.rows.some((row) => row.unparsed > 0);
  const columns = ["method", "accuracy %", "95 %", el("span", { class: "wide-only" }, "0 – ", percent(top, 0), " %"), "right", ...(unanswered ? ["no answer"] : [])];
  for (const baseline of methods.baselines) columns.push("vs " + baseline, "p");
  const rows = methods.rows.map((row) => {
    const cells = [row.method, percent(row.accuracy), percent(row.interval.low) + " – " + percent(row.interval.high),
      el("span", { class: "wide-only" }, intervalBar(row.interval, row.accuracy, top)), `${count(row.correct)} of ${count(row.questions)}`, ...(unanswered ? [count(row.unparsed)] : [])];
    for (const baseline of methods.baselines) {
      const versus = row.versus.find((v) => v.baseline === baseline);
      if (!versus) { cells.push("–", "–"); continue; }
      cells.push(el("span", {}, signed(versus.difference), " ",
        el("small", {}, `${signed(versus.interval.low)} – ${signed(versus.interval.high)}`)),
        el("span", {}, el("span", { class: versus.p_value < 0.05 ? "significant" : null }, pValue(versus.p_value)), " ",
          el("small", {}, `(${versus.only_first} : ${versus.only_second})`)));
    }
    return cells;
  });
  return [table("Accuracy of the methods", columns, rows),
    el("p", { class: "note" }, "Intervals of the accuracy are 95 % Wilson intervals. “vs” is the difference in points, with its 95 % bootstrap "
      + "interval over questions; p is McNemar’s exact test on the questions that only this method (won) or only the baseline (lost) answered right, "
      + "set bold below 0.05.")];
}

function seedTable(seeds) {
  const columns = ["method", "seeds", "mean %", "± sd", "95 % interval"];
  for (const baseline of seeds.baselines) columns.push("vs " + baseline, "95 % interval", "p");
  const rows = seeds.rows.map((row) => {
    const cells = [row.method, String(row.accuracies.length), percent(row.mean),
      row.deviation === null ? "–" : percent(row.deviation), percent(row.interval.low) + " – " + percent(row.interval.high)];
    for (const baseline of seeds.baselines) {
      const versus = row.versus.find((v) => v.baseline === baseline);
      if (!versus) { cells.push("–", "–", "–"); continue; }
      cells.push(signed(versus.difference), signed(versus.interval.low) + " – " + signed(versus.interval.high),
        el("span", { class: versus.p_value < 0.05 ? "significant" : null }, pValue(versus.p_value)));
    }
    return cells;
  });
  return [el("h3", { style: { "margin-top": "18px" } }, "Over several seeds"), table("Accuracy over several seeds", columns, rows),
    el("p", { class: "note" }, "Mean and standard deviation are over the seeds; intervals are bootstrapped over questions, and p is the exact "
      + "sign-flip test over questions, with all seeds of a question kept together.")];
}

/** A dot with its interval on a scale from 0 to `top`. */
function intervalBar(interval, at, top) {
  const x = (share) => 2 + (share / top) * 96;
  return svg("svg", { width: 100, height: 14, viewBox: "0 0 100 14", "aria-hidden": "true", style: { "vertical-align": "middle" } },
    svg("line", { x1: 2, x2: 98, y1: 7, y2: 7, stroke: "var(--grid)" }),
    svg("line", { x1: x(interval.low), x2: x(interval.high), y1: 7, y2: 7, stroke: "var(--m0)", "stroke-width": 2 }),
    svg("circle", { cx: x(at), cy: 7, r: 4, fill: "var(--m0)" }));
}

function niceTop(share) {
  return Math.min(1, Math.ceil(share * 10) / 10) || 1;
}

function costs(stages) {
  const sum = (name) => stages.reduce((total, stage) => total + (stage[name] ?? 0), 0);
  const longest = Math.max(...stages.map((stage) => stage.seconds), 1e-9);
  const most = (name) => Math.max(...stages.map((stage) => stage[name] ?? 0)) || null;
  const memory = (n) => (n === undefined || n === null ? "–" : n < 1e9 ? (n / 1e6).toFixed(0) + " MB" : (n / 1e9).toFixed(2) + " GB");
  const tokens = (n) => (n === undefined || n === null ? "–" : count(n));
  const rows = stages.map((stage) => [stage.stage,
    el("span", { class: "bar-room" }, el("span", { class: "bar", style: { width: (90 * stage.seconds) / longest + "px" } })),
    duration(stage.seconds), tokens(stage.tokens_read), tokens(stage.tokens_generated), memory(stage.memory_expected), memory(stage.memory_seen)]);
  return el("div", {}, el("h3", {}, "Time, tokens and memory"),
    table("Time, tokens and memory of each stage", ["stage", "", "time", "tokens read", "tokens generated", "memory expected", "memory seen"], rows,
      ["total", "", duration(sum("seconds")), tokens(sum("tokens_read")), tokens(sum("tokens_generated")), memory(most("memory_expected")), memory(most("memory_seen"))]));
}

/** Pass@k and maj@k of sampled answers. */
function sampledCurves(curves) {
  const styles = styleOf(curves.filter((c) => c.method !== "base").map((c) => c.method));
  const style = (name) => styles.get(name) ?? { name, colour: "var(--m7)", dash: "2 4" };
  const lines = (value, interval) => curves.map((c) => ({ ...style(c.method), x: c.points.map((p) => p.k), y: c.points.map((p) => p[value] * 100),
    low: interval && curves.length < 3 ? c.points.map((p) => p.interval.low * 100) : null, high: interval && curves.length < 3 ? c.points.map((p) => p.interval.high * 100) : null }));
  const chart = (title, sentence, value, interval) => lineChart(title, sentence, { xTitle: "k", log2: true, format: (y) => y.toFixed(1) + " %", series: () => lines(value, interval) });
  return el("div", {}, el("h3", { style: { "margin-top": "18px" } }, "Sampled answers"),
    el("div", { class: "controls" }, curves.map((c) => el("span", {}, swatch(style(c.method)), c.method))),
    el("div", { class: "charts" },
      chart("Pass@k", "Chance that at least one of k sampled answers to a held-out question is right.", "pass_at_k", true),
      chart("maj@k", "Share of held-out questions whose most frequent answer among k samples is right.", "majority_at_k", false)));
}
