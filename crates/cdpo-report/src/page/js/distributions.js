// Distributions over all scored wrong solutions: scores, and where critical tokens lie.

function distributions(data) {
  const d = data.distributions;
  if (!d) return;
  const node = section("distributions", "Distributions",
    `Over all ${count(d.responses)} scored wrong solutions with their ${count(d.tokens)} tokens.`);
  let log = true;
  const bins = d.weights.length;
  const labels = d.weights.map((_, i) => String(Number((i / bins).toFixed(2))));
  const range = (i) => `${(i / bins).toFixed(2)} – ${((i + 1) / bins).toFixed(2)}`;
  const of = (values, what, xTitle, scaled) => ({
    labels, values, xTitle, range, log: scaled ? () => log : undefined,
    say: (i) => `${range(i)}: ${count(values[i])} ${what}`,
  });
  const figures = [
    barChart("Token weights 1 − s", "How strongly each token of a wrong solution is marked: most sit near 0, and the few near 1 are the candidates for critical tokens.", of(d.weights, "tokens", "1 − s of a token", true)),
    barChart("Weight of the top critical token", "The most strongly marked token of each solution: far left would mean that solutions without a clear critical token are common.", of(d.critical_weights, "solutions", "1 − s of the top critical token", true)),
    barChart("Where the top critical token lies", "From the first token of the solution (0) to the last (1), by contrastive estimation.", of(d.critical_places, "solutions", "place in the solution", false)),
  ];
  if (d.definition_places.some((n) => n > 0)) {
    figures.push(barChart("Where the definition’s critical token lies", "The same for the critical token found by rollouts, which is the paper’s definition.", of(d.definition_places, "solutions", "place in the solution", false)));
  }
  const box = el("input", { type: "checkbox", checked: true, on: { change: () => { log = box.checked; figures.forEach((f) => f.redraw()); } } });
  node.append(el("div", { class: "controls" }, el("label", { class: "chip" }, box, "Logarithmic counts")), el("div", { class: "charts" }, figures));
  if (data.word_types) {
    node.append(shareTable("What the top critical tokens are", "Kinds of words among the most strongly marked tokens, in percent, beside all tokens of the same solutions and the paper’s Table 2 (which finds critical tokens by rollouts).", data.word_types));
  }
}
