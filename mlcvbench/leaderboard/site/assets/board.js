// The board: sort, filter, groups and columns; scatter.js draws. All state lives in the hash, as #key=value.
// Plain scripts: modules and fetch are refused on file://, where these pages must work.
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
      model: text("a"),
      config: text(".config"),
      parts: naturalParts(`${text("a")} ${text(".config")}`),
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

  // a name as texts and numbers, so that k=3 sorts before k=15 and lr=0.003 before lr=0.03
  function naturalParts(name) {
    const parts = name.toLowerCase().match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?|[^\d]+/g) ?? [];
    return parts.map((part) => (/^\d/.test(part) ? Number(part) : part));
  }

  function compareNames(a, b) {
    for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
      if (a[i] === b[i]) continue;
      const [u, v] = typeof a[i] === typeof b[i] ? [a[i], b[i]] : [typeof a[i] === "number" ? 0 : 1, typeof b[i] === "number" ? 0 : 1];
      return u < v ? -1 : 1;
    }
    return a.length - b.length;
  }

  // ---- state: the hash holds what differs from the defaults
  const control = (name) => form.elements[name];
  const defaults = {
    q: "", family: "", hardware: control("hardware")?.value ?? "all", p50: "", params: "", front: "", verified: "",
    rows: "", columns: "", x: control("x") ? control("x").value : "", y: data.scale, sort: "rank",
  };
  let state = { ...defaults };

  function read() {
    state = { ...defaults };
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (key in state) state[key] = value;
    }
    const known = (name) => [...control(name).options].some((option) => option.value === state[name]);
    for (const name of ["family", "hardware", "rows", "x", "y"]) {
      if (!control(name) || !known(name)) state[name] = defaults[name];
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
    if (column === at.model) return (a, b) => sign * compareNames(a.parts, b.parts) || a.values[0] - b.values[0];
    return (a, b) => {
      const u = a.values[column];
      const v = b.values[column];
      if (u === null || v === null) return (u === null) - (v === null) || a.values[0] - b.values[0];
      return (u < v ? -sign : u > v ? sign : 0) || a.values[0] - b.values[0];
    };
  }

  let sorted = "rank ";
  function sort() {
    const down = state.sort.startsWith("-");
    const column = keys.indexOf(state.sort.replace(/^-/, ""));
    const grouped = state.rows === "model";
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    table.classList.toggle("banded", state.sort === "rank");
    if (sorted === `${state.sort} ${grouped}`) return;
    sorted = `${state.sort} ${grouped}`;
    rows.sort(compare(column, down ? -1 : 1));
    const fragment = document.createDocumentFragment();
    if (grouped) {
      for (const [model, items] of byModel(rows)) fragment.append(groupHead(model), ...items.map(({ row }) => row));
    } else {
      for (const { row } of rows) fragment.append(row);
    }
    body.replaceChildren(fragment);
  }

  // ---- groups: models in the order of their first row, each under its own heading
  function byModel(items) {
    const groups = new Map();
    for (const item of items) {
      if (!groups.has(item.model)) groups.set(item.model, []);
      groups.get(item.model).push(item);
    }
    return groups;
  }

  function groupHead(model) {
    const row = document.createElement("tr");
    const cell = document.createElement("th");
    const name = document.createElement("span");
    row.className = "group";
    row.dataset.model = model;
    cell.scope = "colgroup";
    cell.append(name);
    row.append(cell);
    return row;
  }

  function fillGroups(left) {
    const groups = byModel(left);
    const wide = heads.filter((head) => head.offsetParent !== null).length;
    for (const row of body.querySelectorAll(".group")) {
      const count = groups.get(row.dataset.model)?.length ?? 0;
      row.hidden = count === 0;
      row.cells[0].colSpan = wide;
      row.cells[0].firstChild.textContent = `${row.dataset.model}, ${count} row${count === 1 ? "" : "s"}`;
    }
  }

  // ---- filter
  function passes(item) {
    const most = (name, factor) => {
      if (state[name] === "" || !(Number(state[name]) >= 0) || !(name in at)) return true;
      const value = item.values[at[name]];
      return value != null && value <= Number(state[name]) * factor;
    };
    const words = state.q.toLowerCase().split(/[\s,]+/);
    const fits = (word) => (/^-./.test(word) ? !item.text.includes(word.slice(1)) : item.text.includes(word));
    return (
      words.every(fits) &&
      (state.family === "" || item.family === state.family) &&
      (state.hardware === "all" || item.machine === "" || item.machine === state.hardware) &&
      (state.verified === "" || item.values[at.trust] > 0) &&
      most("p50", 1e-3) &&
      most("params", 1e6)
    );
  }

  function filter() {
    let left = rows.filter(passes);
    if (state.rows === "best") {
      const best = [...byModel(left).values()].map((items) => items.reduce((a, b) => (b.values[0] < a.values[0] ? b : a)));
      left = left.filter((item) => best.includes(item));
    }
    const front = frontOf(left);
    if (state.front === "1" && axisNow()) left = left.filter((item) => front.on.has(item));
    const kept = new Set(left);
    for (const item of rows) item.row.hidden = !kept.has(item);
    fillGroups(left);
    const named = state.hardware !== "all" && control("hardware").options.length > 2;
    document.getElementById("shown").textContent =
      `${left.length} of ${rows.length} row${rows.length === 1 ? "" : "s"}` +
      (named ? ` on ${control("hardware").selectedOptions[0].textContent}` : "");
    document.getElementById("nothing").hidden = left.length > 0;
    draw(left, front);
  }

  // ---- Pareto front on point values: less cost, better score; `near` reach it with their interval
  // Times of different machines are not compared: then each machine has its own front, without a line.
  const axisNow = () => data.axes.find(({ key }) => key === state.x);
  function frontOf(items) {
    const axis = axisNow();
    if (!axis) return { on: new Set(), near: new Set(), line: [] };
    const cost = (item) => item.values[at[axis.key]];
    const usable = items.filter((item) => cost(item) !== null && item.y !== null);
    if (axis.machine && new Set(usable.map((item) => item.machine)).size > 1) {
      return { on: new Set(items.filter((item) => item.ownFront)), near: new Set(), line: [] };
    }
    const sign = data.higher ? 1 : -1;
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

  let point = () => {};
  function draw(items, front) {
    const axis = axisNow();
    if (!axis || !globalThis.Plot) return;
    const cell = (item, key) => item.row.cells[at[key]].textContent.replace(/(?=[±[])/, " ");
    point = drawScatter(scatter, {
      data, axis, items, front,
      error: state.y === "error",
      cost: (item) => item.values[at[axis.key]],
      about: (item) =>
        `${item.model}${item.config ? `\n${item.config}` : ""}\n${data.title} ${cell(item, data.primary)}\n` +
        `rank ${cell(item, "rank")}\n${axis.title} ${cell(item, axis.key)}`,
    });
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
    state = { ...defaults, sort: state.sort, rows: state.rows, columns: state.columns, x: state.x, y: state.y };
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
  document.querySelector(".axes")?.addEventListener("input", soon);
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
  const items = new Map(rows.map((item) => [item.row, item]));
  const follow = (event) => point(items.get(event.target.closest("tr")));
  for (const kind of ["pointerover", "focusin"]) body.addEventListener(kind, follow);
  for (const kind of ["pointerleave", "focusout"]) body.addEventListener(kind, () => point(null));
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
