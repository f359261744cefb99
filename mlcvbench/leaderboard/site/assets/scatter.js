// The scatter: score against one cost. `drawScatter(place, view)` draws into an element (see the view in board.js) and
// returns a function that rings and names the point of an item, or of none.
"use strict";
const drawScatter = (() => {
  const HEIGHT = 300;
  const MARGIN = { left: 50, right: 20, top: 26, bottom: 40 };
  const FONT = "12px system-ui, sans-serif";
  const LINE = 14;
  const LETTERS = [30, 16]; // the most of a name beside a point, and of one that found no room
  const CROWD = 30; // with more points, only the front and the hovered one have their intervals drawn
  const PLACES = [[5, -6, "start"], [-5, -6, "end"], [10, 7, "start"], [-10, 7, "end"], [5, 20, "start"], [-5, 20, "end"]];
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;

  function draw(place, view) {
    const { data, axis, front } = view;
    const percent = data.percent ? 100 : 1;
    const shown = view.items.filter((item) => view.cost(item) !== null && item.y !== null);
    const across = costScale(axis, shown.map(view.cost));
    const height = view.error
      ? (value) => -Math.log10(Math.max((0.5 * percent) / Math.max(1, data.n), percent * (1 - value)))
      : (value) => percent * value;
    const x = (item) => across.of(view.cost(item));
    const y = (item) => height(item.y);
    const rest = shown.filter((item) => !front.on.has(item));
    const best = shown.filter((item) => front.on.has(item));
    const calm = shown.length > CROWD ? shown.filter((item) => front.on.has(item) || front.near.has(item)) : shown;
    const upright = (items) => items.filter(({ ends }) => ends[0] !== null && ends[1] !== null);
    const level = (items) => (axis.key === "p50" ? items.filter(({ ends }) => ends[2] !== null && ends[3] !== null) : []);
    const narrow = place.clientWidth < 500;
    const width = Math.max(280, place.clientWidth);
    const xs = domain([...shown.map(x), ...level(calm).flatMap(({ ends }) => [across.of(ends[2]), across.of(ends[3])])]);
    const ys = domain([...shown.map(y), ...upright(calm).flatMap(({ ends }) => [height(ends[0]), height(ends[1])])]);
    const span = data.higher || view.error ? ys : [ys[1], ys[0]];
    const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top - 8, bottom: HEIGHT - MARGIN.bottom };
    const spot = (item) => ({
      x: MARGIN.left + ((x(item) - xs[0]) / (xs[1] - xs[0])) * (width - MARGIN.left - MARGIN.right),
      y: HEIGHT - MARGIN.bottom - ((y(item) - span[0]) / (span[1] - span[0])) * (HEIGHT - MARGIN.top - MARGIN.bottom),
    });
    const common = { x, y };
    const whisker = { stroke: "var(--cloud)", strokeOpacity: 0.55 };
    const bars = (items, more = (options) => options) => [
      Plot.ruleX(upright(items), more({ x, y1: ({ ends }) => height(ends[0]), y2: ({ ends }) => height(ends[1]), ...whisker })),
      Plot.ruleY(level(items), more({ y, x1: ({ ends }) => across.of(ends[2]), x2: ({ ends }) => across.of(ends[3]), ...whisker })),
    ];
    const pointed = (options) => Plot.pointer({ px: x, py: y, ...options });
    const names = nameable(front.line.length ? front.line : best);
    const svg = Plot.plot({
      width, height: HEIGHT, marginLeft: MARGIN.left, marginRight: MARGIN.right, marginTop: MARGIN.top, marginBottom: MARGIN.bottom,
      style: { background: "transparent" },
      x: {
        domain: xs, label: `${axis.label} →`, labelOffset: 34, grid: true, tickSize: 3,
        ...(axis.log ? across.ticks(xs, narrow) : { ticks: narrow ? 4 : 8 }),
      },
      y: {
        domain: span, label: `↑ ${data.title}${view.error ? ", on the log of the error" : ""}`, grid: true, tickSize: 3,
        ...(view.error
          ? { ticks: steps([-ys[1], -ys[0]], 14).map((d) => -d), tickFormat: (d) => plain(percent - 10 ** -d) }
          : { ticks: 6 }),
      },
      marks: [
        ...bars(calm),
        ...(calm === shown ? [] : bars(shown, pointed)),
        Plot.line(front.line, { ...common, curve: "step-after", stroke: "var(--accent)", strokeWidth: 1.5, strokeOpacity: 0.7 }),
        Plot.dot(rest.filter((item) => !front.near.has(item)), { ...common, r: 3.2, fill: "var(--cloud)" }),
        Plot.dot(rest.filter((item) => front.near.has(item)), { ...common, r: 3.8, fill: "var(--bg)", stroke: "var(--accent)", strokeWidth: 1.5 }),
        Plot.dot(best, { ...common, r: 5, symbol: "diamond", fill: "var(--accent)", stroke: "var(--bg)" }),
        ...placed(names, narrow ? 4 : 8, shown.map(spot), best.map(spot), spot, box).map(({ item, text, dx, dy, anchor }) =>
          Plot.text([item], {
            ...common, text: () => text, dx, dy, textAnchor: anchor, lineAnchor: "bottom",
            fill: "var(--ink)", stroke: "var(--bg)", strokeWidth: 4,
          })),
        Plot.tip(shown, Plot.pointer({ ...common, title: view.about, lineHeight: 1.3, lineWidth: 26 })),
      ],
    });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label",
      `${data.title} against ${axis.label}: ${shown.length} rows, ${best.length} on the Pareto front; the table has the same numbers.`);
    for (const group of svg.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
    place.replaceChildren(svg);
    return pointer(svg, (item) => (shown.includes(item) ? { ...spot(item), name: nameOf(item, view.items) } : null), width);
  }

  // a ring around one point, with its name
  function pointer(svg, find, width) {
    const mark = svg.appendChild(document.createElementNS(svg.namespaceURI, "g"));
    const ring = mark.appendChild(document.createElementNS(svg.namespaceURI, "circle"));
    const text = mark.appendChild(document.createElementNS(svg.namespaceURI, "text"));
    mark.setAttribute("class", "pointed");
    mark.style.display = "none";
    ring.setAttribute("r", 8);
    return (item) => {
      const at = item && find(item);
      mark.style.display = at ? "" : "none";
      if (!at) return;
      const left = at.x > width / 2;
      ring.setAttribute("cx", at.x);
      ring.setAttribute("cy", at.y);
      text.setAttribute("x", at.x + (left ? -12 : 12));
      text.setAttribute("y", at.y + 4);
      text.setAttribute("text-anchor", left ? "end" : "start");
      text.textContent = at.name;
    };
  }

  // ---- names beside points: short ones, and only where there is room
  // the best first, then the cheapest, then those between
  function nameable(best) {
    const items = [...new Set([best.at(-1), best[0], ...best.toReversed()])].filter((item) => item);
    return items.map((item) => ({ item, text: nameOf(item, best) }));
  }

  // what distinguishes an item from the others: its model, its settings, or both
  function nameOf(item, others) {
    const config = item.config.replaceAll(/(^|, )fit\./g, "$1");
    const same = others.filter(({ model }) => model === item.model).length;
    if (same === others.length) return config || item.model;
    return same === 1 ? item.model : `${item.model} ${config}`.trim();
  }

  // Each name is put at the first of six places around its point where it covers no other name and no point of the
  // front, and few others; where there is none, it is cut, and then shown on hover only.
  function placed(names, most, dots, diamonds, spot, box) {
    const found = [];
    for (const { item, text } of names) {
      if (found.length >= most) break;
      const at = spot(item);
      const others = diamonds.filter((dot) => dot.x !== at.x || dot.y !== at.y);
      for (const letters of LETTERS) {
        const name = text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
        const place = roomFor(pen.measureText(name).width + 4, at, found, others, dots, box);
        if (!place) continue;
        found.push({ item, text: name, ...place });
        break;
      }
    }
    return found;
  }

  function roomFor(wide, at, found, diamonds, dots, box) {
    let choice = null;
    for (const [dx, dy, anchor] of PLACES) {
      const left = at.x + dx - (anchor === "end" ? wide : 0);
      const area = { left, right: left + wide, top: at.y + dy - LINE, bottom: at.y + dy };
      const inside = area.left >= box.left && area.right <= box.right && area.top >= box.top && area.bottom <= box.bottom;
      if (!inside || found.some((other) => overlap(area, other.area))) continue;
      if (diamonds.some((dot) => covers(area, dot, 5))) continue;
      const covered = dots.filter((dot) => covers(area, dot, 3)).length;
      if (covered <= 2 && (!choice || covered < choice.covered)) choice = { area, covered, dx, dy, anchor };
    }
    return choice;
  }
  const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const covers = (area, dot, r) =>
    dot.x + r > area.left && dot.x - r < area.right && dot.y + r > area.top && dot.y - r < area.bottom;

  // ---- scales. Logs are taken here and the scales stay linear: the library omits labels of its log scales.
  // A cost of 0 has no log; it is put half a decade below the least.
  function costScale(axis, costs) {
    const values = costs.map((cost) => cost * axis.factor);
    if (!axis.log) return { of: (cost) => cost * axis.factor };
    const least = Math.log10(Math.min(...values.filter((value) => value > 0), Infinity));
    const none = Number.isFinite(least) ? least - 0.5 : 0;
    const ticks = (xs, narrow) => {
      const logs = steps([values.includes(0) ? least - 1e-9 : xs[0], xs[1]], narrow ? 5 : 14);
      return {
        ticks: values.includes(0) ? [none, ...logs] : logs,
        tickFormat: (d) => (values.includes(0) && d === none ? "0" : plain(10 ** d)),
      };
    };
    return { of: (cost) => (cost > 0 ? Math.log10(cost * axis.factor) : none), ticks };
  }

  // the range of some numbers with a small margin
  function domain(values) {
    const known = values.filter((value) => value !== null && Number.isFinite(value));
    if (!known.length) return [0, 1];
    const low = Math.min(...known);
    const high = Math.max(...known);
    const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
    return [low - room, high + room];
  }

  // the logs of round numbers inside a span of logs: powers of ten and parts of them, or even steps where those are few
  function steps([low, high], most) {
    for (const digits of [[1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let power = Math.floor(low); power <= high; power += 1) {
        for (const digit of digits) found.push(power + Math.log10(digit));
      }
      const inside = found.filter((value) => value >= low && value <= high);
      if (inside.length >= 3 && inside.length <= most) return inside;
    }
    if (high - low > 2) return d3.ticks(low, high, most).filter(Number.isInteger);
    return d3.ticks(10 ** low, 10 ** high, Math.min(most, 6)).filter((value) => value > 0).map(Math.log10);
  }

  function plain(value) {
    const size = Math.abs(value);
    for (const [factor, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (size >= factor) return `${Number((value / (prefix === "k" ? 1e3 : factor)).toPrecision(4))}${prefix}`;
    }
    return String(Number(value.toPrecision(4)));
  }

  return draw;
})();
