// Critical tokens by the definition: how they were found, what they are, what replacing them does, and how well signals rank them.

function rollouts(data) {
  const found = data.critical_tokens, judged = data.judgement;
  if (!found && !judged) return;
  const node = section("rollouts", "Rollouts",
    "Critical tokens by the paper’s definition: the first token from which no completion comes right any more, with hardly any after it, found by completing the solution from every token.");
  if (found) {
    node.append(el("div", { class: "charts" }, el("div", {}, el("h3", {}, "How the searches ended"), findings(found.findings)),
      found.replacement ? passAtK(found.replacement, data.paper_pass_at_k) : null));
    node.append(shareTable("What critical tokens are", "Kinds of words among them, in percent, beside the paper’s Table 2.", found.word_types));
    node.append(shareTable("Where they lie", "Tenths of the solution, from its start, in percent.", found.tenths));
    if (found.places) node.append(shareTable("Against the human-marked error", "Whether the critical token comes before, in or after the first wrong step, in percent.", found.places));
    if (found.error_kinds) node.append(shareTable("Critical is not the same as wrong", "Critical tokens that are not the human-marked error, by kind of error, in percent (Table 1).", found.error_kinds));
    node.append(setting(found.setting));
  }
  if (judged) node.append(judgement(judged.table), setting(judged.setting));
}

function setting(pairs) {
  if (!pairs?.length) return null;
  return el("p", { class: "note" }, pairs.map(([name, value]) => `${name}: ${value}`).join(" · "));
}

function findings(f) {
  const all = f.both + f.only_first + f.none + f.unsettled;
  const names = [["both", "both conditions met"], ["only_first", "the first alone met"], ["none", "no such token"], ["unsettled", "not settled"]];
  return table("How the searches ended", ["outcome", "solutions", "%"],
    names.filter(([key]) => f[key] > 0 || key === "both").map(([key, name]) => [name, count(f[key]), percent(f[key] / (all || 1))]),
    ["all", count(all), ""]);
}

function passAtK(curve, paper) {
  const of = (name, colour, dash, ys, more) => ({ name, colour, dash, x: curve.points.map((p) => p.k).slice(0, ys.length), y: ys, ...more });
  const whole = (share) => share * 100;
  const series = [of("replaced (this run)", "var(--m0)", null, curve.points.map((p) => whole(p.without)),
    { low: curve.points.map((p) => whole(p.interval.low)), high: curve.points.map((p) => whole(p.interval.high)) })];
  const kept = curve.points.filter((p) => p.with !== null && p.with !== undefined);
  if (kept.length) series.push({ name: "kept (this run)", colour: "var(--m1)", dash: null, x: kept.map((p) => p.k), y: kept.map((p) => whole(p.with)) });
  const most = Math.max(...curve.points.map((p) => p.k));
  const published = paper.filter(([k]) => k <= most);
  for (const [name, colour, column] of [["paper, GSM8K", "var(--m2)", 1], ["paper, MATH500", "var(--m3)", 2]]) {
    series.push({ name, colour, dash: "6 4", x: published.map((row) => row[0]), y: published.map((row) => row[column]) });
  }
  const figure = lineChart("Pass@k with and without the critical token",
    `Chance that one of k completions comes right when the critical token is kept or replaced, over ${count(curve.trajectories)} solutions; dashed lines are the paper’s with replacement (kept, the paper has 0).`,
    { xTitle: "k", log2: true, domain: [0, 100], format: (y) => y.toFixed(1) + " %", series: () => series });
  figure.append(el("div", { class: "controls" }, series.map((s) => el("span", {}, swatch(s), s.name))));
  return figure;
}

/** Shares by category as bars with their numbers; rows without counts are published ones. */
function shareTable(title, sentence, shares) {
  const top = Math.max(...shares.rows.flatMap((row) => row.shares.map((s) => s?.share ?? 0)), 0.01);
  const room = shares.categories.length > 6 ? 34 : 62;
  const cell = (share, published) => {
    if (!share) return "–";
    const title = share.interval ? `95 % interval ${percent(share.interval.low)} – ${percent(share.interval.high)}` : null;
    return el("span", { class: "share", title }, el("span", { class: "bar-room", style: { width: room + "px" } },
      el("span", { class: "bar" + (published ? " published" : ""), style: { width: (room * share.share) / top + "px" } })), percent(share.share));
  };
  const published = (row) => row.total === null || row.total === undefined;
  return el("div", { class: "block" }, el("h3", {}, title), el("p", { class: "note" }, sentence),
    table(title, [shares.title, "n", ...shares.categories], shares.rows.map((row) => [
      row.name, published(row) ? "–" : count(row.total), ...row.shares.map((share) => cell(share, published(row)))])));
}

function judgement(judge) {
  const cell = (e, scale = 100, digits = 1) => (e ? el("span", {}, (e.mean * scale).toFixed(digits), " ",
    el("small", {}, `${(e.interval.low * scale).toFixed(digits)} – ${(e.interval.high * scale).toFixed(digits)}`)) : "–");
  return el("div", { class: "block" }, el("h3", {}, "Signals judged by the definition"),
    el("p", { class: "note" }, `How high each signal ranks the true critical token among the ${judge.mean_tokens.toFixed(0)} tokens of a solution, over ${count(judge.responses)} solutions: how often it comes first, among the first three or the first tenth, its mean reciprocal rank, and the area under the ROC curve (0.5 is chance).`),
    table("Signals judged by the definition", ["signal", "first %", "first three %", "first tenth %", "reciprocal rank", "AUC"],
      judge.rows.map((row) => [row.signal, cell(row.top_1), cell(row.top_3), cell(row.top_tenth), cell(row.reciprocal_rank, 1, 3), cell(row.auc, 1, 3)])));
}
