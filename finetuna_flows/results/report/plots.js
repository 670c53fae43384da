// Plots by plotly.js, which lies packed in the file and is unpacked when the first one is drawn.

// What a reader may do with a plot; all else is left out, above all sending it to a server.
const BUTTONS = [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
let library = null;

function plotly() {
  library ??= (async () => {
    const script = document.createElement("script");
    script.textContent = await unpack(document.getElementById("plotly").textContent);
    document.head.append(script);
  })();
  return library;
}

function axis(title, changes = {}) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: tone("line"),
    linecolor: tone("strong-line"),
    zeroline: false,
    showline: true,
    ticks: "outside",
    tickcolor: tone("strong-line"),
    automargin: true,
    ...changes,
  };
}

// Ticks at 1, 2 and 5 of every decade, of many decades at 1 alone, written out: plotly.js leaves
// out the decade.
function logAxis(title, values, changes = {}) {
  const sizes = values.filter((value) => value > 0);
  const [low, high] = sizes.reduce(
    ([least, most], size) => [Math.min(least, size), Math.max(most, size)],
    [Infinity, 0],
  );
  const digits = high / low > 2000 ? [1] : [1, 2, 5];
  const decades = Array.from({ length: 19 }, (_, place) => place - 12);
  const ticks = decades.flatMap((decade) => digits.map((digit) => Number(`${digit}e${decade}`)));
  const text = (tick) =>
    tick < 1e-4
      ? tick.toExponential(0).replace("-", MINUS)
      : tick.toLocaleString("en-US", { maximumFractionDigits: 4 });
  return axis(title, { type: "log", tickvals: ticks, ticktext: ticks.map(text), ...changes });
}

function layoutOf(changes) {
  return {
    font: { family: FONT, size: 13, color: tone("text") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 60, r: 40, t: 10, b: 46 },
    width: onPaper ? PAPER_WIDTH : undefined,
    hovermode: "closest",
    hoverlabel: {
      bgcolor: tone("back"),
      bordercolor: tone("strong-line"),
      font: { color: tone("text") },
      align: "left",
    },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
    modebar: {
      orientation: "v",
      bgcolor: "rgba(0,0,0,0)",
      color: tone("strong-line"),
      activecolor: tone("text"),
    },
    ...changes,
  };
}

function markerOf(name, changes = {}) {
  const { color, symbol } = lookOf(name);
  const line = symbol.endsWith("-open") ? { width: 1.5 } : { width: 0.6, color: tone("text") };
  return { color, symbol, size: 8, line, ...changes };
}

// A figure that draws itself when it comes into sight, and again when the theme changes.
// `draw()` gives {data, layout}; a click on a point whose customdata is a path goes there.
function plot({ title, sentence, height, wide = false, draw, signal }) {
  const place = make(
    "div",
    { class: "plot", role: "img", "aria-label": `Plot: ${title}. ${sentence}` },
    make("p", { class: "waiting" }, "Drawing …"),
  );
  place.style.minHeight = `${height}px`;
  const figure = make(
    "figure",
    wide ? { class: "wide" } : {},
    make("figcaption", {}, make("b", {}, title), make("span", { class: "muted" }, sentence)),
    place,
  );
  const show = async () => {
    try {
      if (!window.Plotly) await plotly(); // without a pause where it is there: paper does not wait
      if (signal.aborted) return;
      const { data, layout } = draw();
      window.Plotly.purge(place);
      place.replaceChildren();
      const drawn = window.Plotly.newPlot(place, data, layoutOf({ height, ...layout }), {
        responsive: true,
        displaylogo: false,
        modeBarButtons: BUTTONS,
        plotlyServerURL: "",
        toImageButtonOptions: {
          format: "svg",
          filename: title.toLowerCase().replaceAll(/\W+/g, "-"),
        },
      });
      await drawn;
      place.on("plotly_click", ({ points }) => {
        const path = points[0].customdata;
        if (typeof path === "string" && path.startsWith("#/")) location.hash = path;
      });
      place.dataset.drawn = "yes";
    } catch (error) {
      place.replaceChildren(
        make("p", { class: "bad" }, `This plot cannot be drawn: ${error.message}`),
      );
    }
  };
  let started = false;
  const start = () => {
    if (started) return;
    started = true;
    inSight.disconnect();
    onTheme(show, signal);
    show();
  };
  const inSight = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) start();
    },
    { rootMargin: "200px" },
  );
  inSight.observe(place);
  (window.requestIdleCallback ?? setTimeout)(() => plotly());
  window.addEventListener("beforeprint", start, { signal });
  signal.addEventListener("abort", () => {
    inSight.disconnect();
    window.Plotly?.purge(place);
  });
  return figure;
}
