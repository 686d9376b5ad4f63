// Learning curves: what each training did to the probabilities, step by step (the paper's Figure 4).

const CHARTS = [
  ["logps/chosen", "Log-probability of the right solutions", "Rising means the model comes to prefer the right solutions it was shown; under plain DPO it usually falls."],
  ["logps/rejected", "Log-probability of the wrong solutions", "Falling means wrong solutions become less likely; cDPO pushes mostly at their critical tokens."],
  ["rewards/margins", "Reward margin", "How much more the model has moved towards the right solution than towards the wrong one, compared with where it started."],
  ["rewards/accuracies", "Reward accuracy", "The share of pairs in which the right solution has gained more than the wrong one."],
  ["loss", "Loss", "What each training minimises; losses of different methods are on different scales."],
];
const CONTRASTIVE = ["positive", "negative"];
const COLOURS = 8;

/** One colour and dash for each method, the same wherever it is drawn. */
function styleOf(names) {
  return new Map(names.map((name, i) => [name, { name, colour: `var(--m${i % COLOURS})`, dash: i >= COLOURS ? "6 4" : null }]));
}

function curves(data) {
  const methods = data.curves.filter((curve) => !CONTRASTIVE.includes(curve.name));
  const contrastive = data.curves.filter((curve) => CONTRASTIVE.includes(curve.name));
  if (methods.length + contrastive.length === 0) return;
  const node = section("curves", "Learning curves",
    "What each training did, step by step. Every point is the mean over the pairs of one optimizer step, so single points are noisy; move over a plot, or focus it and use the arrow keys, to read values.");
  const longest = Math.max(...data.curves.map((curve) => curve.steps.length));
  const shown = new Set(methods.map((curve) => curve.name));
  let span = longest > 60 ? 15 : longest > 20 ? 5 : 1;
  const figures = [];
  const redraw = () => figures.forEach((f) => f.redraw());
  const styles = styleOf(methods.map((curve) => curve.name));
  const controls = el("div", { class: "controls", role: "group", "aria-label": "Methods shown" });
  for (const style of styles.values()) {
    const box = el("input", { type: "checkbox", checked: true, "data-method": style.name, on: { change: () => { shown[box.checked ? "add" : "delete"](style.name); redraw(); } } });
    controls.append(el("label", { class: "chip" }, box, swatch(style), style.name));
  }
  const smoothing = el("select", { on: { change: () => { span = Number(smoothing.value); redraw(); } } },
    [[1, "none"], [5, "5 points"], [15, "15 points"], [51, "51 points"]].map(([n, text]) => el("option", { value: n, selected: n === span }, text)));
  controls.append(el("label", {}, "Smoothing", smoothing));
  const grid = el("div", { class: "charts" });
  const lines = (list, metric, style) => list.filter((curve) => curve.series[metric]).map((curve) => {
    const raw = curve.series[metric];
    return { ...style(curve.name), x: curve.steps, y: smoothed(raw, span), raw: span > 1 ? raw : null };
  });
  for (const [metric, title, sentence] of CHARTS) {
    if (!methods.some((curve) => curve.series[metric])) continue;
    figures.push(lineChart(title, sentence, {
      xTitle: "step", format: number,
      series: () => lines(methods.filter((curve) => shown.has(curve.name)), metric, (name) => styles.get(name)),
    }));
  }
  if (contrastive.length > 0) {
    const pair = { positive: { name: "positive", colour: "var(--m2)", dash: null }, negative: { name: "negative", colour: "var(--m5)", dash: "6 4" } };
    figures.push(lineChart("Contrastive models", "Loss of the model fine-tuned on right solutions and of the one fine-tuned on wrong solutions, whose contrast gives the scores.", {
      xTitle: "step", format: number, series: () => lines(contrastive, "loss", (name) => pair[name]),
    }));
  }
  grid.append(...figures);
  const stride = Math.max(...data.curves.map((curve) => curve.stride));
  node.append(controls, grid);
  if (stride > 1) node.append(el("p", { class: "note" }, `Long trainings are drawn with one point for up to ${stride} steps.`));
}

/** The mean over `span` points around each, fewer at the ends. */
function smoothed(values, span) {
  if (span <= 1) return values;
  const half = Math.floor(span / 2);
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - half), i + half + 1);
    return part.reduce((sum, v) => sum + v, 0) / part.length;
  });
}
