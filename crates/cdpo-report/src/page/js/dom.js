// Elements and numbers: what every part of the page is made of.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes that are null are left out, `on` holds listeners, children are elements or text. */
function el(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** As `el`, in SVG. */
function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const count = (n) => n.toLocaleString("en-US");
/** One decimal as in the program's own tables: a tie goes to the even digit. Of the ties, toFixed takes x.25 alone the other way. */
const tenths = (x) => (x % 1 === 0.25 ? x - 0.05 : x).toFixed(1);
const percent = (share, digits = 1) => (digits === 1 ? tenths(share * 100) : (share * 100).toFixed(digits));
const signed = (share) => (share < 0 ? "−" : "+") + tenths(Math.abs(share) * 100);
const pValue = (p) => (p >= 0.001 ? p.toFixed(3) : p.toExponential(1));

/** A probability, legible from 1 down to very little. */
function probability(p) {
  if (p >= 0.9995) return p >= 1 ? "1" : "> 0.999";
  if (p >= 0.001 || p === 0) return p.toFixed(3);
  const [mantissa, exponent] = p.toExponential(1).split("e");
  return mantissa + " × 10" + superscript(Number(exponent));
}

function superscript(n) {
  return String(n).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
}

/** A metric's value with about four digits. */
function number(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-3) return x.toExponential(2).replace("-", "−");
  return x.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size)))).replace("-", "−");
}

function duration(seconds) {
  if (seconds < 59.95) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h} h ${two(m)} m` : `${m} m ${two(s)} s`;
}

/** A table; `columns` are headings, `rows` lists of cells, the first of each the row's heading. */
function table(caption, columns, rows, foot) {
  const line = (cells) => el("tr", {}, cells.map((cell, i) => (i === 0 ? el("th", { scope: "row" }, cell) : el("td", { class: cell.className === "wide-only" ? "wide-only" : null }, cell))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", {},
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col", class: name.className === "wide-only" ? "wide-only" : null }, name)))),
    el("tbody", {}, rows.map(line)),
    foot ? el("tfoot", {}, line(foot)) : null));
}

/** A section of the page with its entry in the navigation. */
function section(id, title, lead) {
  const node = el("section", { id, "aria-labelledby": id + "-title" }, el("h2", { id: id + "-title" }, title),
    lead ? el("p", { class: "lead" }, lead) : null);
  document.getElementById("main").append(node);
  document.getElementById("nav").append(el("a", { href: "#" + id }, title));
  return node;
}
