"use strict";
// What the report does by itself: colours, switches, values under the pointer or the arrow keys, and files.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const told = document.getElementById("told");

  // Colours: those of the system, unless one was chosen.
  const theme = document.getElementById("theme");
  theme.addEventListener("change", () => { document.documentElement.dataset.theme = theme.value; });

  // Switches: of architectures and strategies in a whole section, of tasks and of lines in one figure.
  const isOff = (element, off) => Object.entries(off).some(([part, names]) => names.has(element.dataset[part]));
  function refresh(section) {
    const off = {};
    for (const box of all(".switches input", section)) {
      off[box.dataset.switch] ??= new Set();
      if (!box.checked) off[box.dataset.switch].add(box.value);
    }
    for (const part of all("[data-architecture]", section)) part.classList.toggle("off", isOff(part, off));
    for (const figure of all("figure", section)) {
      const tasks = new Set(all("[data-switch=task]", figure).filter((box) => !box.checked).map((box) => box.value));
      for (const trace of all("g[data-task]", figure)) trace.classList.toggle("off", tasks.has(trace.dataset.task));
      const lines = figure.querySelector(".lines input:checked");
      if (lines) figure.dataset.lines = lines.value;
    }
  }
  document.addEventListener("change", (event) => {
    const section = event.target.closest("section");
    if (section) refresh(section);
  });
  for (const section of all("section")) refresh(section); // a browser may remember what was switched

  // Data: columns of numbers, or of places in a list of texts.
  const read = new Map();
  function dataOf(holder) {
    if (!read.has(holder)) read.set(holder, JSON.parse(holder.querySelector(":scope > script.data").textContent));
    return read.get(holder);
  }
  const cell = (column, row) => (Array.isArray(column) ? column[row] : column.of[column.at[row]]);
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  function csvOf(data) {
    if (data.csv !== undefined) return data.csv;
    const [first = []] = data.columns;
    const size = (Array.isArray(first) ? first : first.at).length;
    const rows = Array.from({ length: size }, (_, row) => data.columns.map((column) => quoted(cell(column, row))).join(","));
    return [data.heads.map(quoted).join(","), ...rows, ""].join("\n");
  }

  // Values of curves: where the pointer is, or the arrow keys have gone.
  const written = (value) => {
    if (value === null) return "–";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  };
  function series(svg) {
    if (!svg.traces) {
      const figure = svg.closest("figure");
      const { heads, columns } = dataOf(figure);
      const column = (name) => columns[heads.indexOf(name)];
      const panel = all("svg.curves", figure).indexOf(svg) + 1;
      svg.traces = new Map();
      column("panel").forEach((own, row) => {
        if (own !== panel) return;
        const task = column("task")[row];
        if (!svg.traces.has(task)) svg.traces.set(task, { name: cell(column("task_name"), row), points: [] });
        const [x, low, middle, high] = ["phase", "low", "median", "high"].map((name) => column(name)[row]);
        svg.traces.get(task).points.push({ x, low, middle, high });
      });
    }
    return svg.traces;
  }
  const nearest = (points, x) => points.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best));
  function tell(svg, x, left, top) {
    const [start, end, low, high] = svg.dataset.across.split(" ").map(Number);
    const shown = [...series(svg)].filter(([task]) => !svg.querySelector(`g[data-task="${task - 1}"]`).matches(".off"));
    if (!shown.length) return;
    const at = nearest(shown[0][1].points, x).x;
    const place = start + ((at - low) / (high - low)) * (end - start);
    let cursor = svg.querySelector(".cursor");
    if (!cursor) {
      cursor = document.createElementNS(svg.namespaceURI, "path");
      cursor.setAttribute("class", "cursor");
      svg.append(cursor);
    }
    const axis = svg.querySelector("line.axis + line.axis");
    cursor.setAttribute("d", `M${place} ${axis.getAttribute("y1")}V${axis.getAttribute("y2")}`);
    const phase = Math.min(Math.floor(at) + 1, high);
    const values = shown.slice(0, 14).map(([, trace]) => {
      const point = nearest(trace.points, at);
      return `${trace.name}: ${written(point.middle)} [${written(point.low)}, ${written(point.high)}]`;
    });
    told.textContent = [`${at === 0 ? "before training" : `in task ${phase}`}, median [10 %, 90 %]`, ...values].join("\n");
    told.classList.add("shown");
    const width = told.offsetWidth, height = told.offsetHeight;
    told.style.left = `${Math.max(4, Math.min(left + 16, innerWidth - width - 8))}px`;
    told.style.top = `${Math.max(4, Math.min(top + 16, innerHeight - height - 8))}px`;
    svg.at = at;
  }
  function forget(svg) {
    told.classList.remove("shown");
    svg.querySelector(".cursor")?.remove();
    delete svg.at;
  }
  for (const svg of all("svg.curves")) {
    svg.addEventListener("pointermove", (event) => {
      const [start, end, low, high] = svg.dataset.across.split(" ").map(Number);
      const box = svg.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      tell(svg, low + ((place - start) / (end - start)) * (high - low), event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", () => forget(svg));
    svg.addEventListener("blur", () => forget(svg));
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return forget(svg);
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const points = [...series(svg).values()][0].points;
      const now = svg.at === undefined ? -1 : points.findIndex((point) => point.x === nearest(points, svg.at).x);
      const next = points[Math.max(0, Math.min(points.length - 1, now + step))];
      const box = svg.getBoundingClientRect();
      tell(svg, next.x, box.left, box.bottom - 20);
    });
  }

  // Files: the data of a figure or table, and a figure as one drawing on white ground.
  function save(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "font-size",
    "font-family", "font-weight", "text-anchor", "dominant-baseline", "opacity", "image-rendering", "paint-order"];
  function copied(node) {
    const looks = getComputedStyle(node);
    if (looks.display === "none") return null;
    const copy = node.cloneNode(false);
    for (const name of ["class", "style", "tabindex", "role"]) copy.removeAttribute(name);
    if (node.localName !== "g") {
      for (const name of LOOKS) {
        const value = looks.getPropertyValue(name);
        if (value && value !== "none" || name === "fill" || name === "stroke") copy.setAttribute(name, value);
      }
    }
    for (const child of node.childNodes) {
      const own = child.nodeType === Node.ELEMENT_NODE ? (child.localName === "title" ? child.cloneNode(true) : copied(child)) : child.cloneNode();
      if (own) copy.append(own);
    }
    return copy;
  }
  function svgOf(figure) {
    const make = (name, attributes, text) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      if (text !== undefined) node.textContent = text;
      return node;
    };
    const font = { "font-family": "sans-serif", fill: "#1b1f24" };
    const panels = all(".panel", figure).filter((panel) => panel.offsetParent !== null);
    const size = (panel) => panel.querySelector("svg").viewBox.baseVal;
    const columns = Math.min(panels.length, Number(figure.querySelector(".panels").dataset.columns));
    const width = Math.max(...panels.map((panel) => size(panel).width)), gap = 16;
    const whole = make("svg", { xmlns: "http://www.w3.org/2000/svg" });
    const total = Math.max(columns * (width + gap) + gap, 420);
    let y = 12;
    const write = (text, x, at, more) => whole.append(make("text", { x, y: at, ...font, ...more }, text));
    const pieces = (text, letters) => text.match(new RegExp(`.{1,${Math.floor(letters)}}(\\s|$)|\\S+`, "g")) ?? [];
    const caption = [figure.querySelector("figcaption h3"), ...all("figcaption .note", figure)];
    for (const line of caption) {
      for (const piece of pieces(line.textContent, (total - 2 * gap) / (line === caption[0] ? 7.6 : 6))) {
        write(piece, gap, (y += 14), { "font-size": line === caption[0] ? 13 : 11, "font-weight": line === caption[0] ? 600 : 400 });
      }
    }
    let x = gap;
    y += 12;
    for (const item of all(".legend li", figure)) {
      const label = item.textContent, room = 34 + 6.2 * label.length;
      if (x + room > total) { x = gap; y += 16; }
      const swatch = item.querySelector("svg");
      if (swatch) {
        const copy = copied(swatch);
        for (const [key, value] of Object.entries({ x, y: y - 3, width: 18, height: 12 })) copy.setAttribute(key, value);
        whole.append(copy);
      }
      write(label, x + 24, y + 7, { "font-size": 11 });
      x += room;
    }
    const shades = figure.querySelector(".colours");
    if (shades) {
      const [low, high, label] = all("span", shades).map((part) => part.textContent);
      const copy = copied(shades.querySelector("svg"));
      if (x + 330 > total) { x = gap; y += 16; }
      write(low, x, y + 7, { "font-size": 11 });
      for (const [key, value] of Object.entries({ x: x + 12 + 6.4 * low.length, y: y - 3, width: 120, height: 12 })) copy.setAttribute(key, value);
      whole.append(copy);
      write(`${high}   ${label}`, x + 144 + 6.4 * low.length, y + 7, { "font-size": 11 });
    }
    y += 22;
    for (let first = 0; first < panels.length; first += columns) {
      const row = panels.slice(first, first + columns);
      const titles = row.map((panel) => all(".title > *", panel).flatMap((line, number) => {
        const look = { "font-size": number ? 10 : 11, "font-weight": number ? 400 : 600 };
        return pieces(line.textContent, width / (number ? 5.4 : 6.6)).map((text) => ({ text, look }));
      }));
      const tall = 14 * Math.max(0, ...titles.map((lines) => lines.length));
      row.forEach((panel, place) => {
        const left = gap + place * (width + gap);
        titles[place].forEach(({ text, look }, number) => write(text, left, y + 10 + 14 * number, look));
        const copy = copied(panel.querySelector("svg"));
        for (const [key, value] of Object.entries({ x: left, y: y + tall, width: size(panel).width, height: size(panel).height })) copy.setAttribute(key, value);
        whole.append(copy);
      });
      y += tall + Math.max(...row.map((panel) => size(panel).height)) + (columns > 1 || tall ? gap : 0);
    }
    whole.setAttribute("viewBox", `0 0 ${total} ${y + 8}`);
    whole.setAttribute("width", total);
    whole.setAttribute("height", y + 8);
    whole.prepend(make("rect", { width: total, height: y + 8, fill: "#ffffff" }));
    return new XMLSerializer().serializeToString(whole);
  }
  document.addEventListener("click", (event) => {
    const holder = event.target.closest("button")?.closest("[data-file]");
    if (!holder) return;
    const name = dataOf(holder).file;
    if (event.target.matches(".as-csv")) return save(`${name}.csv`, csvOf(dataOf(holder)), "text/csv");
    const before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    save(`${name}.svg`, svgOf(holder), "image/svg+xml");
    if (before === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = before;
  });
})();
