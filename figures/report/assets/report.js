"use strict";
(() => {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const drawn = new Set();
  const CONFIG = {
    displaylogo: false, responsive: true, scrollZoom: false,
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "lasso2d", "select2d", "resetCameraLastSave3d", "hoverClosest3d", "autoScale2d"],
  };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a page without storage */ } };
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

  // --- colours -------------------------------------------------------------------------------------------------
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  function axisColours() {
    return { color: css("--muted"), gridcolor: css("--grid"), linecolor: css("--rule"), zerolinecolor: css("--rule") };
  }
  function layoutColours() {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--rule"), font: { color: css("--ink"), size: 13 }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--muted"), activecolor: css("--accent") },
    };
  }
  // Colours of networks that would not be seen on a dark page.
  const onDark = Object.entries(JSON.parse(document.getElementById("on-dark").textContent));
  const lightened = (text) => onDark.reduce((done, [dark, light]) => done.replaceAll(`"${dark}"`, `"${light}"`), text);
  function setTheme(theme) {
    if (theme) root.dataset.theme = theme;
    const button = document.getElementById("theme");
    button.setAttribute("aria-pressed", String(isDark()));
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    for (const recolour of drawn) recolour();
  }

  // --- curves --------------------------------------------------------------------------------------------------
  function chart(figure) {
    const plot = figure.querySelector(".plot");
    const text = figure.querySelector("script.data").textContent, { layout } = JSON.parse(text);
    const data = () => JSON.parse(isDark() ? lightened(text) : text).data;
    const axes = () => ({
      xaxis: { ...layout.xaxis, ...axisColours(), automargin: true, fixedrange: true, ticks: "outside", ticklen: 4, tickcolor: css("--rule") },
      yaxis: { ...layout.yaxis, ...axisColours(), title: { ...layout.yaxis.title, standoff: 8 }, automargin: true, fixedrange: true, zeroline: Boolean(layout.yaxis.zeroline) },
    });
    const whole = () => ({
      ...layout, ...layoutColours(), ...axes(), margin: { l: 56, r: 12, t: 12, b: 40 }, hovermode: "closest",
      legend: { orientation: "h", y: -0.22, yanchor: "top", x: 0, font: { size: 12 } },
    });
    // The legend begins below the axis title, whose distance is in pixels; its rows make the drawing higher.
    const settle = async () => {
      const rows = plot.querySelector(".legend");
      plot.style.height = `${Math.max(380, 330 + (rows ? rows.getBoundingClientRect().height : 0))}px`;
      for (let i = 0; i < 3; i++) await Plotly.relayout(plot, { autosize: true, "legend.y": -54 / plot._fullLayout._size.h });
    };
    Plotly.newPlot(plot, data(), whole(), { ...CONFIG, displayModeBar: false }).then(settle);
    drawn.add(() => Plotly.react(plot, data(), { ...whole(), legend: plot.layout.legend }, { ...CONFIG, displayModeBar: false }));
  }

  // --- surfaces ------------------------------------------------------------------------------------------------
  function bytes(text) {
    const plain = atob(text);
    const found = new Uint8Array(plain.length);
    for (let i = 0; i < plain.length; i++) found[i] = plain.charCodeAt(i);
    return found.buffer;
  }
  const digits = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "no value");
  const percent = (value) => (Number.isFinite(value) ? `${(100 * value).toFixed(2)} %` : "no value");
  const symbol = (loss) => `L_${loss.toUpperCase()}`;
  const written = (loss) => `L<sub>${loss.toUpperCase()}</sub>`;

  class Panel {
    constructor(group, element, data) {
      Object.assign(this, { group, element, data, ny: data.y.length, nx: data.x.length });
      this.relief = element.querySelector(".relief");
      this.map = element.querySelector(".map");
      this.values = Object.fromEntries(Object.entries(data.values).map(([name, text]) => [name, new Float32Array(bytes(text))]));
      this.done = new Uint8Array(bytes(data.done));
      this.camera = null;
    }
    rows(name) {
      const { step, plane } = this.group;
      if (plane >= this.data.planes) return Array.from({ length: this.ny }, () => new Float32Array(this.nx).fill(NaN));
      const start = (step * this.data.planes + plane) * this.ny * this.nx;
      return Array.from({ length: this.ny }, (_, i) => this.values[name].subarray(start + i * this.nx, start + (i + 1) * this.nx));
    }
    scale() {
      const { mode, loss, step, plane } = this.group, scales = this.group.data.scales;
      if (mode === "own") return (scales.own[loss][this.index][step] || [])[plane] || null;
      return mode === "step" ? scales.step[loss][step][plane] : scales.all;
    }
    // The place of a value among the levels: 0 at the first, 1 at the second, so that bands are of one width.
    place(value, scale) {
      if (!Number.isFinite(value)) return NaN;
      const { levels, log } = scale, of = log ? Math.log : (v) => v;
      let i = 0;
      while (i < levels.length - 2 && value > levels[i + 1]) i++;
      return i + (of(value) - of(levels[i])) / (of(levels[i + 1]) - of(levels[i]));
    }
    text(i, j) {
      const { loss } = this.group, at = (name) => this.now[name][i][j];
      const where = `x = ${digits(this.data.x[j])}, y = ${digits(this.data.y[i])}`;
      if (!Number.isFinite(at("loss"))) return `${where}<br>${this.why(i, j)}`;
      return `${where}<br>${written(loss)} = ${digits(at("loss"))} ± ${digits(at("error"))} nat<br>accuracy ${percent(at("accuracy"))}`;
    }
    why(i, j) {
      const { plane, step } = this.group;
      if (plane >= this.data.planes) return "no such plane";
      if (!this.done[(plane * this.ny + i) * this.nx + j]) return "not measured yet";
      return this.data.timesteps[step] ? "not finite" : "not measured at this T";
    }
    prepare() {
      const { loss } = this.group;
      this.now = { loss: this.rows(`${loss}_loss`), error: this.rows(`${loss}_loss_se`), accuracy: this.rows("accuracy") };
      this.used = this.scale();
      this.places = this.now.loss.map((row) => Array.from(row, (v) => (this.used ? this.place(v, this.used) : NaN)));
      this.texts = this.now.loss.map((row, i) => Array.from(row, (_, j) => this.text(i, j)));
      const finite = (i, j) => Number.isFinite((this.now.loss[i] || [])[j]);
      const cell = (i, j) => finite(i, j) && finite(i + 1, j) && finite(i, j + 1) && finite(i + 1, j + 1);
      this.holes = []; this.alone = [];
      for (let i = 0; i < this.ny; i++) for (let j = 0; j < this.nx; j++) {
        if (!finite(i, j)) this.holes.push([i, j]);
        else if (!cell(i, j) && !cell(i - 1, j) && !cell(i, j - 1) && !cell(i - 1, j - 1)) this.alone.push([i, j]);
      }
    }
    get palette() {
      const colours = this.group.data.colours;
      return colours.map((c, i) => [i / (colours.length - 1), c]);
    }
    get bands() { return this.used ? this.used.levels.length - 1 : 1; }
    surfaceTraces() {
      const last = this.bands, mark = this.mark(), shared = { cmin: -0.5, cmax: last + 0.5, colorscale: this.palette, showscale: false };
      return [
        { type: "surface", x: this.data.x, y: this.data.y, z: this.now.loss.map((row) => Array.from(row, (v) => (Number.isFinite(v) ? v : null))), surfacecolor: this.places, ...shared,
          text: this.texts, hovertemplate: "%{text}<extra></extra>", connectgaps: false, lighting: { ambient: 0.85, diffuse: 0.45, specular: 0.04, roughness: 0.9 },
          contours: { x: { highlight: false }, y: { highlight: false }, z: { highlight: false } } },
        { type: "scatter3d", mode: "markers", x: this.alone.map(([, j]) => this.data.x[j]), y: this.alone.map(([i]) => this.data.y[i]), z: this.alone.map(([i, j]) => this.now.loss[i][j]),
          text: this.alone.map(([i, j]) => this.texts[i][j]), hovertemplate: "%{text}<extra></extra>", showlegend: false,
          marker: { symbol: "square", size: 3, color: this.alone.map(([i, j]) => this.places[i][j]), ...shared } },
        { type: "scatter3d", mode: "markers", x: mark.x, y: mark.y, z: mark.z, hoverinfo: "skip", showlegend: false, marker: { symbol: "circle", size: 6, color: "#ffffff", line: { color: "#000000", width: 2 } } },
      ];
    }
    mapTraces() {
      const last = this.bands, mark = this.mark(), centre = this.data.x.includes(0) && this.data.y.includes(0);
      const at = (list) => ({ x: list.map(([, j]) => this.data.x[j]), y: list.map(([i]) => this.data.y[i]), text: list.map(([i, j]) => this.texts[i][j]) });
      const lost = this.holes.filter(([i, j]) => this.why(i, j) === "not finite"), open = this.holes.filter(([i, j]) => this.why(i, j) !== "not finite");
      const small = Math.max(2, Math.min(7, 120 / Math.max(this.nx, this.ny)));
      const hover = { hovertemplate: "%{text}<extra></extra>", showlegend: false, type: "scatter", mode: "markers" };
      return [
        { type: "contour", x: this.data.x, y: this.data.y, z: this.places.map((row) => row.map((v) => (Number.isFinite(v) ? v : null))), text: this.texts, hovertemplate: "%{text}<extra></extra>", connectgaps: false,
          autocontour: false, contours: { start: 0, end: last, size: 1, coloring: "fill" }, line: { width: 0.8, color: "rgba(255,255,255,0.55)" }, colorscale: this.palette, showscale: false },
        { ...hover, ...at(this.alone), marker: { symbol: "square", size: small + 2, color: this.alone.map(([i, j]) => this.places[i][j]), cmin: -0.5, cmax: last + 0.5, colorscale: this.palette } },
        { ...hover, ...at(open), marker: { symbol: "circle-open", size: small, color: css("--muted"), line: { width: 1 } } },
        { ...hover, ...at(lost), marker: { symbol: "x-thin", size: small + 3, line: { color: css("--amber"), width: 1.6 } } },
        { ...hover, x: centre ? [0] : [], y: centre ? [0] : [], hovertemplate: null, hoverinfo: "skip", marker: { symbol: "cross", size: 9, color: "#ffffff", line: { color: "#000000", width: 1 } } },
        { ...hover, x: mark.x, y: mark.y, hovertemplate: null, hoverinfo: "skip", marker: { symbol: "circle-open", size: 13, color: "#ffffff", line: { width: 2.5 } } },
      ];
    }
    mark() {
      const found = this.group.marked(this);
      if (!found) return { x: [], y: [], z: [] };
      const [i, j] = found, z = this.now.loss[i][j];
      return { x: [this.data.x[j]], y: [this.data.y[i]], z: Number.isFinite(z) ? [z] : [null] };
    }
    limits(axis) {
      const all = this.group.panels.flatMap((panel) => panel.data[axis]);
      return [Math.min(...all), Math.max(...all)];
    }
    surfaceLayout() {
      const axis = { ...axisColours(), showbackground: false, showspikes: false, tickfont: { size: 11 }, title: { font: { size: 12 } }, nticks: 5 };
      const span = (r) => r[1] - r[0], x = this.limits("x"), y = this.limits("y"), most = Math.max(span(x), span(y));
      const far = Math.min(1.45, Math.max(1, 600 / this.relief.clientWidth)); // room for the labels of a narrow drawing
      // Room below, or the lowest height would lie on a number of x.
      const [low, high] = this.used ? this.used.height : [], height = this.used ? { range: [low - 0.12 * (high - low), high] } : {};
      const scene = {
        xaxis: { ...axis, title: { text: "x", font: { size: 12 } }, range: x }, yaxis: { ...axis, title: { text: "y", font: { size: 12 } }, range: y },
        zaxis: { ...axis, title: { text: `${symbol(this.group.loss)} (nat)`, font: { size: 12 } }, ...height },
        aspectmode: "manual", aspectratio: { x: Math.max(0.4, span(x) / most), y: Math.max(0.4, span(y) / most), z: 0.7 },
        camera: this.camera || { eye: { x: 1.1 * far, y: -1.2 * far, z: 0.85 * far }, center: { x: 0, y: 0, z: -0.14 } },
      };
      return { ...layoutColours(), scene, margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "keep" };
    }
    mapLayout() {
      const [left, below] = this.data.labels, axis = { ...axisColours(), fixedrange: true, showgrid: false, zeroline: false, ticks: "outside", ticklen: 4, tickcolor: css("--rule"), automargin: true, nticks: 6, constrain: "domain" };
      return {
        ...layoutColours(), plot_bgcolor: css("--hole"), margin: { l: 52, r: 8, t: 8, b: 44 }, hovermode: "closest", uirevision: "keep",
        xaxis: { ...axis, title: { text: left }, range: this.limits("x") }, yaxis: { ...axis, title: { text: below }, range: this.limits("y"), scaleanchor: "x", scaleratio: 1 },
      };
    }
    draw() {
      this.words();
      if (!this.visible) { this.clearRelief(); return null; }
      return Promise.all([this.drawMap(), this.drawRelief()]);
    }
    drawMap() {
      this.prepare();
      const done = Plotly.react(this.map, this.mapTraces(), this.mapLayout(), { ...CONFIG, displayModeBar: false });
      if (!this.bound) {
        this.bound = true;
        this.map.on("plotly_hover", (event) => this.pointed(event));
      }
      return done;
    }
    drawRelief() {
      if (this.holes.length === this.ny * this.nx) { this.clearRelief(); return null; } // plotly fails at a surface without a height
      const done = Plotly.react(this.relief, this.surfaceTraces(), this.surfaceLayout(), { ...CONFIG, displayModeBar: false });
      if (!this.turned) {
        this.turned = true;
        this.relief.on("plotly_hover", (event) => this.pointed(event));
        this.relief.on("plotly_relayout", (change) => { if (change["scene.camera"]) this.camera = change["scene.camera"]; });
      }
      return done;
    }
    clearRelief() {
      if (this.turned) Plotly.purge(this.relief);
      this.turned = false;
    }
    pointed(event) {
      const { x, y } = event.points[0];
      this.group.moveTo(x, y);
    }
    moveMark() {
      this.readOff();
      if (!this.visible) return;
      const mark = this.mark();
      Plotly.restyle(this.map, { x: [mark.x], y: [mark.y] }, [5]);
      if (this.turned) Plotly.restyle(this.relief, { x: [mark.x], y: [mark.y], z: [mark.z] }, [2]);
    }
    readOff() {
      const list = this.element.querySelector(".readout"), found = this.group.marked(this);
      const entry = (name, value) => `<div><dt>${name}</dt><dd>${value}</dd></div>`;
      if (!found) { list.innerHTML = entry("here", "not a point of this grid"); return; }
      const [i, j] = found, { loss, data } = this.group, at = (name) => this.rows(name)[i][j];
      let text = entry("x, y", `${digits(this.data.x[j])}, ${digits(this.data.y[i])}`);
      if (!Number.isFinite(at(`${loss}_loss`))) text += entry(written(loss), this.why(i, j));
      else text += data.losses.map((each) => entry(written(each), `${digits(at(`${each}_loss`))} ± ${digits(at(`${each}_loss_se`))}`)).join("") + entry("accuracy", percent(at("accuracy")));
      list.innerHTML = text;
    }
    words() {
      const { plane, step, loss } = this.group, parts = [], steps = this.group.data.timesteps;
      if (plane >= this.data.planes) parts.push(`holds ${this.data.planes} plane${this.data.planes > 1 ? "s" : ""}`);
      else if (!this.data.timesteps[step]) parts.push(`T = ${steps[step]} was not measured`);
      else {
        const points = this.data.points[plane], measured = this.data.measured[plane], lost = this.data.not_finite[loss][step][plane];
        if (measured < points) parts.push(`${measured} of ${points} points are measured; rings mark the others`);
        if (lost) parts.push(`${lost} measured point${lost > 1 ? "s are" : " is"} not finite, marked ×`);
      }
      this.element.querySelector(".missing").textContent = parts.join("; ");
      this.readOff();
    }
  }

  class Group {
    constructor(element) {
      this.element = element;
      this.data = JSON.parse(element.querySelector("script.data").textContent);
      this.controls = element.querySelector("form.controls");
      this.probe = element.querySelector("form.probe");
      this.panels = [...element.querySelectorAll(".panel")].map((each, i) => Object.assign(new Panel(this, each, this.data.panels[i]), { index: i }));
      const first = this.panels[0].data, middle = (list) => { const at = list.indexOf(0); return at < 0 ? list.length >> 1 : at; };
      for (const axis of ["x", "y"]) {
        const slider = this.probe.elements[axis];
        slider.max = first[axis].length - 1;
        slider.setAttribute("value", middle(first[axis]));
      }
    }
    read() {
      const e = this.controls.elements;
      this.step = Number(e.timestep.value);
      this.loss = this.controls.querySelector("input[type=radio]:checked").value;
      this.plane = e.plane ? Number(e.plane.value) : 0;
      this.mode = e.scale.value;
      this.at = ["x", "y"].map((axis) => this.panels[0].data[axis][Number(this.probe.elements[axis].value)]);
      const t = this.data.timesteps[this.step], trained = this.panels.every((panel) => panel.data.trained === t);
      this.controls.querySelector(".value").textContent = `T = ${t}${trained ? ", trained" : ""}`;
      e.timestep.setAttribute("aria-valuetext", `T = ${t}`);
      for (const [i, axis] of ["x", "y"].entries()) {
        const slider = this.probe.elements[axis];
        slider.nextElementSibling.textContent = digits(this.at[i]);
        slider.setAttribute("aria-valuetext", digits(this.at[i]));
      }
    }
    // Row and column of the mark in a panel, whose grid may be another.
    marked(panel) {
      const near = (list, value) => list.findIndex((each) => Math.abs(each - value) < 1e-9 * Math.max(1, Math.abs(value)));
      const j = near(panel.data.x, this.at[0]), i = near(panel.data.y, this.at[1]);
      return i < 0 || j < 0 ? null : [i, j];
    }
    moveTo(x, y) {
      const nearest = (list, value) => list.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(list[best] - value) ? i : best), 0);
      const first = this.panels[0].data, next = [nearest(first.x, x), nearest(first.y, y)];
      if (next[0] === Number(this.probe.elements.x.value) && next[1] === Number(this.probe.elements.y.value)) return;
      [this.probe.elements.x.value, this.probe.elements.y.value] = next;
      this.move();
    }
    move() {
      this.read();
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => { for (const panel of this.panels) panel.moveMark(); });
    }
    draw() {
      this.read();
      this.state();
      return Promise.all(this.panels.map((panel) => panel.draw()));
    }
    watch() {
      const watcher = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
          const panel = this.panels.find((each) => each.relief === target);
          if (isIntersecting === panel.visible) continue;
          panel.visible = isIntersecting;
          if (isIntersecting) panel.draw();
          else panel.clearRelief();
        }
      }, { rootMargin: "600px" });
      for (const panel of this.panels) watcher.observe(panel.relief);
    }
    state() {
      const many = this.panels.length > 1, both = this.data.losses.length > 1, statement = this.element.querySelector(".statement");
      const who = many ? `${this.panels.length} networks` : "";
      const shared_by = [who, both ? "both losses" : "", this.data.timesteps.length > 1 ? "every T" : ""].filter(Boolean);
      statement.textContent = {
        all: shared_by.length ? `Colours, levels, heights and axes are shared by ${shared_by.join(", ").replace(/, ([^,]*)$/, " and $1")}.` : "",
        step: `Colours, levels, heights and axes are those of this loss at this T${many ? `, shared by ${who}` : ""}; another T or loss has others.`,
        own: "Each network has colours, levels and heights of its own: they cannot be compared by eye.",
      }[this.mode];
      const planes = this.data.planes > 1 ? `, plane ${this.plane + 1} of ${this.data.planes}` : "";
      this.element.querySelector(".shown").innerHTML = `${written(this.loss)} at T = ${this.data.timesteps[this.step]}${planes}.`;
      statement.classList.toggle("apart", this.mode === "own");
      for (const panel of this.panels) panel.used = panel.scale();
      const shared = this.panels.map((panel) => panel.used).find(Boolean);
      this.key(this.element.querySelector(".key.shared"), this.mode === "own" ? null : shared);
      for (const panel of this.panels) this.key(panel.element.querySelector(".key.own"), this.mode === "own" ? panel.used : null);
    }
    key(place, scale) {
      if (!scale) { place.innerHTML = ""; return; }
      const count = scale.levels.length - 1, colours = this.data.colours, every = Math.ceil(count / 6);
      const colour = (share) => colours[Math.round(share * (colours.length - 1))];
      const bands = scale.levels.slice(1).map((_, i) => `<i style="background:${colour((i + 1) / (count + 1))}"></i>`).join("");
      const shown = scale.levels.map((v, i) => [v, i]).filter(([, i]) => i === count || (i % every === 0 && count - i >= every * 0.8));
      const labels = shown.map(([v, i]) => `<span style="left:${(100 * i) / count}%">${digits(v)}</span>`).join("");
      place.innerHTML = `<div class="bands">${bands}</div><div class="levels">${labels}</div><div class="unit">loss (nat)${scale.log ? ", levels even in the logarithm; heights are linear" : ""}</div>`;
    }
    start() {
      // A browser has room for a dozen 3-D drawings: of many, those in sight alone are drawn.
      const many = document.querySelectorAll(".panel").length > 8;
      for (const panel of this.panels) panel.visible = !many;
      this.controls.addEventListener("input", () => this.draw());
      this.probe.addEventListener("input", () => this.move());
      for (const form of [this.controls, this.probe]) form.addEventListener("submit", (event) => event.preventDefault());
      this.draw();
      if (many) this.watch();
      drawn.add(() => this.draw());
    }
  }

  // --- a page that is drawn again as results grow ----------------------------------------------------------------
  const before = document.body.dataset.state === undefined ? null : JSON.parse(sessionStorage.getItem("tetviz"));
  const surfaces = [...document.querySelectorAll(".surfaces")], groups = [];
  const key = (field) => field.id || `${field.name}=${field.value}`;
  const fields = (within) => [...within.querySelectorAll("form input, form select")];
  function remember() {
    const values = { ...(before && before.values) }, cameras = { ...(before && before.cameras) };
    groups.forEach((group, i) => {
      for (const each of fields(group.element)) values[key(each)] = each.type === "radio" ? each.checked : each.value;
      cameras[i] = group.panels.map((panel) => panel.camera);
    });
    const open = [...document.querySelectorAll("details[open]")].map((each) => each.id);
    sessionStorage.setItem("tetviz", JSON.stringify({ values, open, scroll: scrollY, cameras }));
  }
  function recall(group, i) {
    for (const each of fields(group.element)) {
      const value = before.values[key(each)];
      if (value === undefined) continue;
      if (each.type === "radio") each.checked = value; else each.value = value;
    }
    group.panels.forEach((panel, k) => { panel.camera = (before.cameras[i] || [])[k] || null; });
  }
  async function watch() {
    const live = document.getElementById("live"), began = Date.now();
    let held = false;
    addEventListener("pointerdown", () => { held = true; });
    for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, () => { held = false; });
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (document.hidden) continue;
      try {
        const answer = await fetch("state", { cache: "no-store" });
        const state = await answer.text();
        if (!answer.ok) throw new Error(state);
        live.textContent = "";
        // Not under the reader's hand, and not so often that nothing can be read.
        if (state !== document.body.dataset.state && !held && Date.now() - began > 4000) { remember(); location.reload(); return; }
      } catch { live.textContent = "The server does not answer; what is shown is the last that was seen."; }
    }
  }

  // What a closed fold holds has no width: it is drawn when the fold opens.
  const waiting = new Map([...document.querySelectorAll("figure.chart")].map((figure) => [figure, () => chart(figure)]));
  surfaces.forEach((element, i) => waiting.set(element, () => {
    groups[i] = new Group(element);
    if (before) recall(groups[i], i);
    groups[i].start();
  }));
  const drawWaiting = () => {
    for (const [element, draw] of waiting) if (!element.closest("details:not([open])")) { waiting.delete(element); draw(); }
  };
  const unfold = (hash) => {
    const section = document.getElementById(hash.slice(1)), fold = section && section.querySelector(":scope > details.whole");
    if (fold) fold.open = true;
  };
  const saved = kept("tetviz-theme");
  if (saved === "dark" || saved === "light") root.dataset.theme = saved;
  for (const id of before ? before.open : []) { const each = document.getElementById(id); if (each) each.open = true; }
  for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => unfold(link.hash));
  addEventListener("hashchange", () => unfold(location.hash));
  unfold(location.hash);
  setTheme();
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", drawWaiting);
  drawWaiting();

  // --- print: light, unfolded, as wide as the paper ----------------------------------------------------------------
  const fit = () => { for (const plot of document.querySelectorAll(".map, .plot")) if (plot.layout) Plotly.relayout(plot, { autosize: true }); };
  let onScreen = null;
  addEventListener("beforeprint", () => {
    if (onScreen) return;
    onScreen = { theme: root.dataset.theme, dark: isDark(), folds: [...document.querySelectorAll("details:not([open])")] };
    root.classList.add("printing");
    for (const fold of onScreen.folds) fold.open = true;
    drawWaiting();
    if (onScreen.dark) setTheme("light");
    for (const panel of groups.flatMap((group) => group.panels)) if (!panel.visible) panel.drawMap();
    fit();
  });
  addEventListener("afterprint", () => {
    if (!onScreen) return;
    root.classList.remove("printing");
    for (const fold of onScreen.folds) fold.open = false;
    if (onScreen.theme) root.dataset.theme = onScreen.theme; else delete root.dataset.theme;
    if (onScreen.dark) setTheme();
    onScreen = null;
    fit();
  });
  if (before) scrollTo({ top: before.scroll, behavior: "instant" });
  document.getElementById("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    keep("tetviz-theme", theme);
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
  if (document.body.dataset.state !== undefined) watch();
})();
