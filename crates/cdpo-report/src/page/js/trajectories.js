// Wrong solutions, token by token: a list that draws only the rows in view, and the one that is chosen.

const ROW = 66;
const HIGH = 0.5;
const LINK = "#trajectory/";

function trajectories(data) {
  const all = data.trajectories;
  if (all.length === 0) return;
  const more = data.scored > all.length ? ` Shown are the first ${count(all.length)} of ${count(data.scored)}.` : "";
  const node = section("trajectories", "Trajectories",
    "Wrong solutions of the training questions. The stronger a token’s colour, the likelier it is under wrong reasoning and the less likely under right reasoning: a candidate for the token that turned the solution wrong." + more);
  const state = { shown: [], at: -1, query: "", verdict: "", kind: "", least: 0, order: "file" };
  const list = listOf(state, all, data, (i) => choose(i));
  const detail = el("div", { class: "detail", tabindex: "0", role: "region", "aria-label": "Chosen solution" });
  const view = detailOf(detail, data);

  const choose = (i, scroll = true, quiet = false) => {
    if (state.shown.length === 0) { state.at = -1; view.show(null); list.draw(); return; }
    state.at = Math.max(0, Math.min(state.shown.length - 1, i));
    const t = state.shown[state.at];
    view.show(t, { at: state.at, of: state.shown.length, previous: () => choose(state.at - 1), next: () => choose(state.at + 1) });
    if (scroll) list.reveal(state.at);
    list.draw();
    if (quiet) return;
    try { history.replaceState(null, "", LINK + encodeURIComponent(t.id)); } catch { /* a page without history */ }
  };
  const filter = () => {
    const before = state.shown[state.at];
    const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
    state.shown = all.filter((t) => t.highest >= state.least
      && (state.verdict === "" || verdictOf(t) === state.verdict)
      && (state.kind === "" || (t.rollouts?.kind ?? "not searched") === state.kind)
      && words.every((word) => (t.id + " " + t.question).toLowerCase().includes(word)));
    if (state.order === "score") state.shown = [...state.shown].sort((a, b) => b.highest - a.highest);
    if (state.order === "length") state.shown = [...state.shown].sort((a, b) => a.tokens.length - b.tokens.length);
    number.textContent = `${count(state.shown.length)} of ${count(all.length)}`;
    list.reset();
    const kept = state.shown.indexOf(before);
    choose(kept < 0 ? 0 : kept, true, true);
  };

  const number = el("span", { role: "status", class: "mono", id: "shown-count" });
  const search = el("input", { type: "search", id: "search", placeholder: "words of the question, or its id", on: { input: () => { state.query = search.value; filter(); } } });
  const options = (values, everything) => [el("option", { value: "" }, everything),
    ...values.map(([value, n]) => el("option", { value }, `${value} (${count(n)})`))];
  const verdict = el("select", { id: "verdict", on: { change: () => { state.verdict = verdict.value; filter(); } } }, options(tally(all.map(verdictOf)), "all"));
  const least = el("input", { type: "range", id: "least", min: 0, max: 1, step: 0.01, value: 0, on: { input: () => { state.least = Number(least.value); at.textContent = state.least.toFixed(2); filter(); } } });
  const at = el("span", { class: "mono" }, "0.00");
  const order = el("select", { id: "order", on: { change: () => { state.order = order.value; filter(); } } },
    [["file", "as in the file"], ["score", "highest 1 − s first"], ["length", "shortest first"]].map(([value, text]) => el("option", { value }, text)));
  const controls = el("div", { class: "controls", role: "group", "aria-label": "Filters" },
    el("label", {}, "Question", search), el("label", {}, "Verdict", verdict),
    el("label", {}, "Highest 1 − s at least", least, at), el("label", {}, "Order", order));
  if (all.some((t) => t.rollouts)) {
    const kind = el("select", { id: "kind", on: { change: () => { state.kind = kind.value; filter(); } } }, options(tally(all.map((t) => t.rollouts?.kind ?? "not searched")), "all"));
    controls.append(el("label", {}, "By rollouts", kind));
  }
  controls.append(number);
  node.append(controls, el("div", { class: "browser" }, list.node, detail),
    el("p", { class: "note keys" }, "Keys: ", el("kbd", {}, "j"), " / ", el("kbd", {}, "k"), " next and previous solution (also ↓ ↑ in the list), ",
      el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " token by token, ", el("kbd", {}, "c"), " the critical token, ", el("kbd", {}, "/"), " search."));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const act = {
      j: () => choose(state.at + 1), k: () => choose(state.at - 1), c: () => view.critical(),
      "/": () => { node.scrollIntoView(); search.focus(); },
      ArrowLeft: () => view.step(-1), ArrowRight: () => view.step(1), Escape: () => view.leave(),
    }[event.key];
    if (!act) return;
    if (event.key !== "Escape") event.preventDefault();
    act();
  });
  const wanted = location.hash.startsWith(LINK) ? decodeURIComponent(location.hash.slice(LINK.length)) : null;
  filter();
  const found = all.findIndex((t) => t.id === wanted);
  if (found >= 0) { choose(found); node.scrollIntoView(); }
}

const VERDICTS = { correct: "right after all", wrong: "wrong answer", unparsed: "no answer found" };
const verdictOf = (t) => (t.verdict ? VERDICTS[t.verdict.outcome] : "not graded");

function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** The list: as tall as all rows together, but holding only those in view. */
function listOf(state, all, data, choose) {
  const space = el("div", { style: { position: "relative" } });
  const node = el("div", { class: "list", role: "listbox", tabindex: "0", id: "list", "aria-label": "Wrong solutions" }, space);
  let queued = false;
  const draw = () => {
    queued = false;
    const first = Math.max(0, Math.floor(node.scrollTop / ROW) - 4);
    const last = Math.min(state.shown.length, Math.ceil((node.scrollTop + node.clientHeight) / ROW) + 4);
    space.style.height = state.shown.length * ROW + "px";
    if (state.shown.length === 0) { space.replaceChildren(el("p", { class: "empty" }, "No solution fits these filters.")); return; }
    space.replaceChildren(...state.shown.slice(first, last).map((t, k) => {
      const i = first + k;
      return el("div", { class: "row", role: "option", id: "row-" + i, "data-index": i, "aria-selected": String(i === state.at), "aria-posinset": i + 1, "aria-setsize": state.shown.length, style: { top: i * ROW + "px" } },
        el("div", { class: "head" }, el("span", {}, t.id), el("span", { title: "highest 1 − s" }, t.highest.toFixed(3))),
        el("div", { class: "text" }, t.question));
    }));
    if (state.at >= first && state.at < last) node.setAttribute("aria-activedescendant", "row-" + state.at);
    else node.removeAttribute("aria-activedescendant");
  };
  const later = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };
  node.addEventListener("scroll", later, { passive: true });
  new ResizeObserver(later).observe(node);
  node.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) choose(Number(row.dataset.index), false);
  });
  node.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(node.clientHeight / ROW) - 1);
    const to = { ArrowDown: state.at + 1, ArrowUp: state.at - 1, PageDown: state.at + page, PageUp: state.at - page, Home: 0, End: state.shown.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(to);
  });
  const reveal = (i) => {
    if (i * ROW < node.scrollTop) node.scrollTop = i * ROW;
    if ((i + 1) * ROW > node.scrollTop + node.clientHeight) node.scrollTop = (i + 1) * ROW - node.clientHeight;
  };
  return { node, draw, reveal, reset: () => { space.style.height = state.shown.length * ROW + "px"; node.scrollTop = 0; } };
}

/** The chosen solution. */
function detailOf(node, data) {
  let spans = [], current = null, shown = null;
  const card = el("div", { class: "card", role: "status", hidden: true });

  const show = (t, place) => {
    shown = t;
    spans = [];
    current = null;
    card.hidden = true;
    if (!t) { node.replaceChildren(el("p", { class: "empty" }, "No solution fits these filters.")); return; }
    const content = t.tokens.length - (t.terminated ? 1 : 0);
    const tokens = el("p", { class: "tokens", id: "tokens" });
    t.tokens.forEach((number, i) => {
      const weight = 1 - t.scores[i];
      const span = el("span", { "data-token": i, style: { "--w": weight.toFixed(4) } }, ...tokenText(data.texts[number], i >= content));
      if (i >= content) span.classList.add("end");
      else {
        if (weight >= HIGH) span.classList.add("high");
        if (i === t.critical) span.classList.add("critical");
        if (i === t.rollouts?.critical) span.classList.add("definition");
      }
      spans.push(span);
      tokens.append(span);
    });
    tokens.addEventListener("pointerover", (event) => { const span = event.target.closest("[data-token]"); if (span) focus(Number(span.dataset.token)); });
    tokens.addEventListener("pointerdown", (event) => { const span = event.target.closest("[data-token]"); if (span) focus(Number(span.dataset.token)); });
    tokens.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
    const button = (text, label, act, off) => el("button", { class: "button", type: "button", "aria-label": label, disabled: off, on: { click: act } }, text);
    node.replaceChildren(
      el("div", { class: "detail-head" }, el("h3", {}, t.id), el("span", { class: "note" }, `${count(place.at + 1)} of ${count(place.of)}`),
        el("span", { class: "pair" }, button("← Previous", "Previous solution", place.previous, place.at === 0),
          button("Next →", "Next solution", place.next, place.at + 1 === place.of))),
      el("p", { class: "question" }, t.question),
      el("div", { class: "facts" },
        el("span", {}, "Answer given: ", el("b", {}, t.verdict?.answer ?? "–")),
        t.gold === null ? null : el("span", {}, "Gold answer: ", el("b", {}, t.gold)),
        el("span", {}, "Verdict: ", el("b", {}, verdictOf(t))),
        el("span", {}, count(content), " tokens"),
        el("span", {}, "Highest 1 − s: ", el("b", {}, t.highest.toFixed(4))),
        t.rollouts ? el("span", {}, "By rollouts: ", el("b", {}, KINDS[t.rollouts.kind] ?? t.rollouts.kind)) : null),
      el("h3", {}, "Wrong solution"), tokens,
      el("div", { class: "legend" }, el("span", {}, "1 − s: 0", el("span", { class: "ramp" }), "1"),
        el("span", {}, el("span", { class: "key", style: { "text-decoration": "underline 2px", "text-decoration-color": "var(--mark)" } }, "word"), ` at least ${HIGH}`),
        el("span", {}, el("span", { class: "key critical" }, "word"), " top critical token"),
        t.rollouts?.critical !== undefined && t.rollouts?.critical !== null ? el("span", {}, el("span", { class: "key definition" }, "word"), " critical token by rollouts") : null),
      el("div", { class: "beside" },
        el("div", {}, el("h3", {}, "Chosen solution"), el("p", { class: "note" }, t.chosen_verdict ? `Answer: ${t.chosen_verdict.answer ?? "–"}` : "A right solution of the same question."), el("p", {}, t.chosen.trim())),
        t.gold_solution ? el("div", {}, el("h3", {}, "Gold solution"), el("p", { class: "note" }, "From the data set."), el("p", {}, t.gold_solution)) : null),
      card);
    node.scrollTop = 0;
  };

  const focus = (i) => {
    if (!shown) return;
    if (current !== null) spans[current].classList.remove("on");
    current = Math.max(0, Math.min(spans.length - 1, i));
    const span = spans[current];
    span.classList.add("on");
    card.replaceChildren(...cardOf(shown, current, data));
    card.hidden = false;
    const box = node.getBoundingClientRect();
    const line = span.getClientRects()[0] ?? span.getBoundingClientRect();
    const x = line.left - box.left, below = line.bottom - box.top + node.scrollTop + 10;
    card.style.left = Math.max(8, Math.min(node.clientWidth - card.offsetWidth - 8, x)) + "px";
    const above = line.top - box.top + node.scrollTop - card.offsetHeight - 10;
    const room = window.innerHeight - line.bottom > card.offsetHeight + 20 || above < node.scrollTop;
    card.style.top = (room ? below : above) + "px";
  };
  const leave = () => {
    if (current !== null) spans[current].classList.remove("on");
    current = null;
    card.hidden = true;
  };
  const bring = (i) => {
    if (!shown) return;
    spans[Math.max(0, Math.min(spans.length - 1, i))].scrollIntoView({ block: "nearest" });
    focus(i);
  };
  return { show, leave, step: (by) => bring(current === null ? (by > 0 ? 0 : spans.length - 1) : current + by), critical: () => { if (shown) bring(shown.critical); } };
}

const KINDS = { both: "found", only_first: "only the first condition", none: "none", unsettled: "not settled" };

/** What a token looks like: line breaks are shown and kept, a token that only begins a character is a dot. */
function tokenText(text, terminator) {
  if (terminator) return ["end"];
  if (text === "") return ["·"];
  const parts = [];
  text.split("\n").forEach((part, i) => {
    if (i > 0) parts.push(el("span", { class: "break", "aria-hidden": "true" }, "↵"), "\n");
    if (part) parts.push(part);
  });
  return parts;
}

/** A token in a card: white space made visible. */
const visible = (text) => el("code", {}, text === "" ? "·" : text.replace(/ /g, "␣").replace(/\n/g, "↵").replace(/\t/g, "⇥"));

/** All that is known of a token. */
function cardOf(t, i, data) {
  const content = t.tokens.length - (t.terminated ? 1 : 0);
  const rows = [["1 − s", (1 - t.scores[i]).toFixed(4)], ["s", t.scores[i] === 0 ? "< 0.0001" : t.scores[i].toFixed(4)]];
  if (t.positive.length) rows.push(["P, positive model", probability(Math.exp(t.positive[i]))]);
  if (t.negative.length) rows.push(["P, negative model", probability(Math.exp(t.negative[i]))]);
  if (t.ranks.length) rows.push(["rank, positive model", count(t.ranks[i])]);
  const rolled = t.rollouts?.counts[i];
  if (rolled && rolled[0] + rolled[1] > 0) rows.push(["right rollouts after it", `${rolled[0]} of ${rolled[0] + rolled[1]}`]);
  const parts = [
    el("div", { class: "what" }, i >= content ? el("code", {}, "end of the response") : visible(data.texts[t.tokens[i]]), el("span", {}, i >= content ? "" : `${i + 1} of ${content}`)),
    el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
  ];
  const best = t.alternatives[i] ?? [];
  if (best.length) {
    parts.push(el("div", { class: "alt" }, el("span", { class: "title" }, "Positive model’s best alternatives"),
      best.map(([number, p]) => [visible(data.texts[number]), el("span", {}, p === 0 ? "< 0.001" : (p / 1000).toFixed(3))])));
  }
  return parts;
}
