// The board's one script: sort, filter, columns and the scatter. All state lives in the hash, as #key=value.
// A plain script: modules and fetch are refused on file://, where these pages must work.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const table = document.getElementById("board");
  if (!table) {
    root.dataset.ready = "1";
    return;
  }
  const body = table.tBodies[0];
  const form = document.getElementById("controls");
  const heads = [...table.tHead.rows[0].cells];
  const buttons = heads.map((head) => head.querySelector("button"));
  const keys = buttons.map((button) => button.dataset.key);
  const data = JSON.parse(document.getElementById("data").textContent);
  const wide = matchMedia("(min-width: 1000px)");
  const scatter = document.getElementById("scatter");

  const at = Object.fromEntries(keys.map((key, index) => [key, index]));
  const rows = [...body.rows].map((row, index) => {
    const values = [...row.cells].map((cell) => ("v" in cell.dataset ? Number(cell.dataset.v) : textValue(cell)));
    const text = (selector) => row.cells[1].querySelector(selector)?.textContent ?? "";
    return {
      row,
      values,
      text: row.cells[1].textContent.toLowerCase(),
      name: `${text("a")} ${text(".config")}`.trim(),
      family: text("small"),
      machine: row.dataset.hardware,
      ownFront: "front" in row.dataset,
      y: values[at[data.primary]],
      ends: data.ends[index],
    };
  });

  function textValue(cell) {
    const text = cell.textContent.trim().toLowerCase();
    if (text === "-" || text === "") return null;
    return /^[0-9.]+$/.test(text) ? Number(text) : text;
  }

  // ---- state: the hash holds what differs from the defaults
  const control = (name) => form.elements[name];
  const defaults = {
    q: "", family: "", hardware: control("hardware").value, p50: "", params: "", front: "", verified: "",
    columns: "", x: control("x") ? control("x").value : "", y: data.scale, sort: "rank",
  };
  let state = { ...defaults };

  function read() {
    state = { ...defaults };
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (key in state) state[key] = value;
    }
    const known = (name) => [...control(name).options].some((option) => option.value === state[name]);
    for (const name of ["family", "hardware", "x", "y"]) {
      if (control(name) && !known(name)) state[name] = defaults[name];
    }
    if (!keys.includes(state.sort.replace(/^-/, ""))) state.sort = defaults.sort;
    if (!["", "main", "cost", "all"].includes(state.columns)) state.columns = "";
  }

  function write() {
    const changed = Object.entries(state).filter(([key, value]) => value !== defaults[key]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function fill() {
    for (const [name, value] of Object.entries(state)) {
      const input = control(name);
      if (!input) continue;
      if (input.type === "checkbox") input.checked = value === "1";
      else input.value = name === "columns" ? value || (wide.matches ? "cost" : "main") : value;
    }
  }

  // ---- sort: empty values last both ways
  function compare(column, sign) {
    return (a, b) => {
      const u = a.values[column];
      const v = b.values[column];
      if (u === null || v === null) return (u === null) - (v === null) || a.values[0] - b.values[0];
      return (u < v ? -sign : u > v ? sign : 0) || a.values[0] - b.values[0];
    };
  }

  let sorted = "rank";
  function sort() {
    const down = state.sort.startsWith("-");
    const column = keys.indexOf(state.sort.replace(/^-/, ""));
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    table.classList.toggle("banded", state.sort === "rank");
    if (sorted === state.sort) return;
    sorted = state.sort;
    rows.sort(compare(column, down ? -1 : 1));
    const fragment = document.createDocumentFragment();
    for (const { row } of rows) fragment.append(row);
    body.append(fragment);
  }

  // ---- filter
  function passes(item) {
    const most = (name, factor) => {
      if (state[name] === "" || !(Number(state[name]) >= 0)) return true;
      const value = item.values[at[name]];
      return value != null && value <= Number(state[name]) * factor;
    };
    const words = state.q.toLowerCase().split(/\s+/);
    return (
      words.every((word) => item.text.includes(word)) &&
      (state.family === "" || item.family === state.family) &&
      (state.hardware === "all" || item.machine === state.hardware) &&
      (state.verified === "" || item.values[at.trust] > 0) &&
      most("p50", 1e-3) &&
      most("params", 1e6)
    );
  }

  function filter() {
    let left = rows.filter(passes);
    const front = frontOf(left);
    if (state.front === "1") left = left.filter((item) => front.on.has(item));
    const kept = new Set(left);
    for (const item of rows) item.row.hidden = !kept.has(item);
    const named = state.hardware !== "all" && control("hardware").options.length > 2;
    document.getElementById("shown").textContent =
      `${left.length} of ${rows.length} row${rows.length === 1 ? "" : "s"}` +
      (named ? ` on ${control("hardware").selectedOptions[0].textContent}` : "");
    document.getElementById("nothing").hidden = left.length > 0;
    draw(left, front);
  }

  // ---- Pareto front on point values: less cost, better score; `near` reach it with their interval
  // Times of several machines are not compared: there the marks are those of each machine's own front, without line.
  const axisNow = () => data.axes.find(({ key }) => key === state.x);
  function frontOf(items) {
    const axis = axisNow();
    if (!axis) return { on: new Set(), near: new Set(), line: [] };
    if (axis.machine && new Set(items.map((item) => item.machine)).size > 1) {
      return { on: new Set(items.filter((item) => item.ownFront)), near: new Set(), line: [] };
    }
    const sign = data.higher ? 1 : -1;
    const cost = (item) => item.values[at[axis.key]];
    const usable = items.filter((item) => cost(item) !== null && item.y !== null);
    usable.sort((a, b) => cost(a) - cost(b) || sign * (b.y - a.y));
    const on = new Set();
    const near = new Set();
    let best = -Infinity;
    for (const item of usable) {
      const edge = item.ends[data.higher ? 1 : 0];
      if (sign * item.y > best) {
        best = sign * item.y;
        on.add(item);
      } else if (edge !== null && sign * edge >= best) near.add(item);
    }
    return { on, near, line: usable.filter((item) => on.has(item)) };
  }

  // ---- scatter
  function draw(items, front) {
    const axis = axisNow();
    if (!axis || !globalThis.Plot) return;
    // Logs are taken here and the scales stay linear: the library leaves out labels of its log scales.
    const across = (value) => (axis.log ? Math.log10(value * axis.factor) : value * axis.factor);
    const x = (item) => across(item.values[at[axis.key]]);
    const error = state.y === "error";
    const percent = data.percent ? 100 : 1;
    const floor = (0.5 * percent) / Math.max(1, data.n);
    const height = (value) => (error ? -Math.log10(Math.max(floor, percent * (1 - value))) : percent * value);
    const y = (item) => height(item.y);
    const shown = items.filter((item) => item.values[at[axis.key]] !== null && item.y !== null);
    const rest = shown.filter((item) => !front.on.has(item));
    const cell = (item, key) => item.row.cells[at[key]].textContent.replace("±", " ± ");
    const label = (item) =>
      `${item.name}\n${data.title} ${cell(item, data.primary)}\nrank ${cell(item, "rank")}\n${axis.title} ${cell(item, axis.key)}`;
    const spanY = shown.filter((item) => item.ends[0] !== null && item.ends[1] !== null);
    const spanX = axis.key === "p50" ? shown.filter((item) => item.ends[2] !== null && item.ends[3] !== null) : [];
    const common = { x, y };
    const narrow = scatter.clientWidth < 500;
    const named = spread(shown.filter((item) => front.on.has(item)), narrow ? 4 : 8);
    const width = Math.max(280, scatter.clientWidth);
    const xs = domain([...shown.map(x), ...spanX.flatMap(({ ends }) => [across(ends[2]), across(ends[3])])]);
    const ys = domain([...shown.map(y), ...spanY.flatMap(({ ends }) => [height(ends[0]), height(ends[1])])]);
    const turn = xs[0] + (xs[1] - xs[0]) * (narrow ? 0.5 : 0.8); // names right of this stand left of their point
    const whisker = { stroke: "var(--cloud)", strokeOpacity: 0.55 };
    const lettering = {
      text: "name", dy: -11, fill: "var(--ink)", stroke: "var(--bg)", strokeWidth: 4, lineWidth: 18,
      textOverflow: "ellipsis",
    };
    const svg = Plot.plot({
      width, height: 300, marginLeft: 50, marginRight: 20, marginTop: 26, marginBottom: 40,
      style: { background: "transparent" },
      x: {
        domain: xs, label: `${axis.label} →`, labelOffset: 34, grid: true, tickSize: 3,
        ...(axis.log
          ? { ticks: steps(xs, narrow ? [1] : [1, 2, 5]), tickFormat: (d) => plain(10 ** d) }
          : { ticks: narrow ? 4 : 8 }),
      },
      y: error
        ? {
            domain: ys, label: `↑ ${data.title}, on the log of the error`, grid: true, tickSize: 3,
            ticks: steps([-ys[1], -ys[0]], [1, 2, 5]).map((d) => -d), tickFormat: (d) => plain(percent - 10 ** -d),
          }
        : { domain: data.higher ? ys : [ys[1], ys[0]], label: `↑ ${data.title}`, grid: true, ticks: 6, tickSize: 3 },
      marks: [
        Plot.ruleX(spanY, { x, y1: ({ ends }) => height(ends[0]), y2: ({ ends }) => height(ends[1]), ...whisker }),
        Plot.ruleY(spanX, { y, x1: ({ ends }) => across(ends[2]), x2: ({ ends }) => across(ends[3]), ...whisker }),
        Plot.line(front.line, { ...common, curve: "step-after", stroke: "var(--accent)", strokeWidth: 1.5, strokeOpacity: 0.7 }),
        Plot.dot(rest.filter((item) => !front.near.has(item)), { ...common, r: 3.2, fill: "var(--cloud)" }),
        Plot.dot(rest.filter((item) => front.near.has(item)), { ...common, r: 3.8, fill: "var(--bg)", stroke: "var(--accent)", strokeWidth: 1.5 }),
        Plot.dot(shown.filter((item) => front.on.has(item)), { ...common, r: 5, symbol: "diamond", fill: "var(--accent)", stroke: "var(--bg)" }),
        Plot.text(named.filter((item) => x(item) <= turn), { ...common, ...lettering, dx: 4, textAnchor: "start" }),
        Plot.text(named.filter((item) => x(item) > turn), { ...common, ...lettering, dx: -4, textAnchor: "end" }),
        Plot.tip(shown, Plot.pointer({ ...common, title: label, lineHeight: 1.3 })),
      ],
    });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label",
      `${data.title} against ${axis.label}: ${shown.length} rows, ${shown.filter((item) => front.on.has(item)).length} on the Pareto front; the table has the same numbers.`);
    for (const group of svg.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
    scatter.replaceChildren(svg);
  }

  // the span of some numbers with a little room
  function domain(values) {
    const known = values.filter((value) => value !== null && Number.isFinite(value));
    if (!known.length) return [0, 1];
    const low = Math.min(...known);
    const high = Math.max(...known);
    const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return [low - room, high + room];
  }

  // the logs of `digits` times powers of ten inside a span of logs; only powers of ten when they would crowd
  function steps([low, high], digits) {
    const found = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      for (const digit of digits) found.push(power + Math.log10(digit));
    }
    const inside = found.filter((value) => value >= low && value <= high);
    return inside.length > 14 && digits.length > 1 ? steps([low, high], [1]) : inside;
  }

  function spread(items, most) {
    if (items.length <= most) return items;
    return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]);
  }

  function plain(value) {
    const size = Math.abs(value);
    for (const [factor, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (size >= factor) return `${Number((value / (prefix === "k" ? 1e3 : factor)).toPrecision(4))}${prefix}`;
    }
    return String(Number(value.toPrecision(4)));
  }

  // ---- wiring
  function columns() {
    table.dataset.columns = state.columns || "auto";
  }
  function show() {
    columns();
    sort();
    filter();
  }
  function changed() {
    for (const name of Object.keys(state)) {
      const input = control(name);
      if (!input || name === "columns") continue;
      state[name] = input.type === "checkbox" ? (input.checked ? "1" : "") : input.value;
    }
    write();
    show();
  }
  function clear() {
    state = { ...defaults, sort: state.sort, columns: state.columns, x: state.x, y: state.y };
    fill();
    write();
    show();
  }
  function load() {
    read();
    fill();
    show();
  }

  let later = 0;
  const soon = (event) => {
    if (event.target.name === "columns") state.columns = event.target.value;
    clearTimeout(later);
    later = setTimeout(changed, event.type === "input" && event.target.type !== "checkbox" ? 60 : 0);
  };
  form.addEventListener("input", soon);
  document.querySelector(".axes").addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); clear(); });
  document.getElementById("clear").addEventListener("click", clear);
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => {
      const key = keys[index];
      const good = button.dataset.better === "high" ? `-${key}` : key;
      const other = good === key ? `-${key}` : key;
      state.sort = state.sort === good ? other : good;
      write();
      show();
    });
  });
  addEventListener("hashchange", load);
  let drawn = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === drawn) return;
    drawn = innerWidth;
    clearTimeout(later);
    later = setTimeout(filter, 120);
  });
  if (innerWidth < 700) document.getElementById("filters").open = false;
  load();
  root.dataset.ready = "1";
})();
