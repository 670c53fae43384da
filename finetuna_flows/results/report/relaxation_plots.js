// The plots of one relaxation: its course, and how wrong the surrogate was.

function curves(row, { curve, calls, facts }, signal) {
  if (!curve?.energy.length) return [];
  const made = [
    plot({
      title: "Energy and forces along the relaxation",
      sentence:
        "Lines: what the optimizer was told at each step; dots: steps at which the parent was " +
        "asked; open marks: what the surrogate had predicted there." +
        (curve.shift ? ` Energies: ${curve.shift.said}.` : ""),
      height: 500,
      signal,
      draw: () => drawCurves(row, curve, calls, facts),
    }),
  ];
  if (calls?.error.some((value) => value !== null)) {
    made.push(
      plot({
        title: "Force error of the surrogate at the parent calls",
        sentence:
          "Root mean square over the free components, before the label was learned and after.",
        height: 320,
        signal,
        draw: () => drawErrors(calls),
      }),
    );
  }
  return made;
}

function drawCurves(row, curve, calls, facts) {
  const { color } = lookOf(row.name);
  const steps = curve.energy.map((_, step) => step);
  const asked = steps.filter((step) => curve.labelled[step]);
  const end = row.energy ?? curve.energy.at(-1);
  // A surrogate's energies may have another zero than the parent's.
  const shifted = (value, step) =>
    value === null ? null : value - end + shiftAt(curve.shift, step);
  const energy = curve.energy.map((value, step) =>
    curve.labelled[step] ? value - end : shifted(value, step),
  );
  const known = energy.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const margin = 0.08 * (high - low || 0.01);
  const trace = (values, name, changes) => ({
    x: steps,
    y: values,
    type: "scatter",
    mode: "lines",
    name,
    line: { color: tone("strong-line"), width: 1.5 },
    ...changes,
  });
  const dots = (values, yaxis, unit) =>
    trace(
      asked.map((step) => values[step]),
      "parent call",
      {
        x: asked,
        yaxis,
        mode: "markers",
        marker: { color, size: 7, line: { width: 0.6, color: tone("text") } },
        showlegend: yaxis === "y",
        hovertemplate: `step %{x}<br>%{y:.4f} ${unit}<extra>parent</extra>`,
      },
    );
  const open = (values, yaxis, unit) =>
    trace(values, "predicted before the label", {
      x: calls.step,
      yaxis,
      mode: "markers",
      showlegend: yaxis === "y",
      marker: {
        color: "rgba(0,0,0,0)",
        size: 9,
        symbol: "circle",
        line: { width: 1.4, color: tone("muted") },
      },
      hovertemplate: `step %{x}<br>%{y:.4f} ${unit}<extra>predicted</extra>`,
    });
  const told = { hovertemplate: "step %{x}<br>%{y:.4f}<extra>told to the optimizer</extra>" };
  const data = [
    trace(energy, "told to the optimizer", told),
    dots(energy, "y", "eV"),
    trace(curve.fmax, "fmax", { yaxis: "y2", showlegend: false, ...told }),
    dots(curve.fmax, "y2", "eV/Å"),
  ];
  if (calls?.predictedFmax.some((value) => value !== null)) {
    data.push(
      open(
        calls.predictedEnergy.map((value, index) => shifted(value, calls.step[index])),
        "y",
        "eV",
      ),
      open(calls.predictedFmax, "y2", "eV/Å"),
    );
  }
  const threshold = {
    type: "line",
    xref: "paper",
    x0: 0,
    x1: 1,
    yref: "y2",
    y0: facts.threshold,
    y1: facts.threshold,
    line: { color: tone("muted"), width: 1, dash: "dash" },
  };
  return {
    data,
    layout: {
      xaxis: axis("Step", { anchor: "y2" }),
      yaxis: axis("E − E<sub>end</sub> (eV)", {
        domain: [0.53, 1],
        range: [low - margin, high + margin],
      }),
      yaxis2: logAxis("fmax (eV/Å)", curve.fmax, { domain: [0, 0.47], anchor: "x" }),
      shapes: [threshold],
    },
  };
}

function shiftAt(shift, step) {
  if (!shift) return 0;
  return step <= shift.first ? shift.before : shift.after;
}

function drawErrors(calls) {
  const numbers = calls.error.map((_, index) => index + 1);
  const line = (values, name, place) => ({
    x: numbers,
    y: values,
    name,
    type: "scatter",
    mode: "lines+markers",
    connectgaps: false,
    marker: { color: COLORS[place], symbol: SYMBOLS[place], size: 8 },
    line: { color: COLORS[place], width: 1.2 },
    hovertemplate: "call %{x}<br>%{y:.4f} eV/Å<extra></extra>",
  });
  return {
    data: [line(calls.error, "before", 4), line(calls.tuned, "after", 1)],
    layout: {
      xaxis: axis("Parent call"),
      yaxis: logAxis("Force error (eV/Å)", [...calls.error, ...calls.tuned]),
    },
  };
}
