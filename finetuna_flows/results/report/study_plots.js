// The plots of the first page that show methods as a whole.

const PHASES = [
  ["parent", 1, ""],
  ["tuning", 2, "/"],
  ["prediction", 3, "."],
  ["overhead", 6, "x"],
];

function plotsOf(signal) {
  const shown = study.reference ? relaxations.filter((row) => row.compared) : relaxations;
  const made = study.summary.length
    ? [accuracyAgainstSpeed(signal), energyAgainstCalls(shown, signal)]
    : [];
  const timed = study.summary.some((each) => each.wall_time_s !== null);
  made.push(bySystems(shown, signal), finishedWithin(shown, signal, { wide: !timed }));
  if (timed) made.push(wallTime(signal));
  return made;
}

function byMethod(rows) {
  const groups = new Map(study.methods.map((name) => [name, []]));
  for (const row of rows) groups.get(row.name).push(row);
  return [...groups].filter(([, members]) => members.length);
}

function accuracyAgainstSpeed(signal) {
  const uncertain = (each) => each.method !== study.reference;
  const trace = (each, name, changes) => {
    const middle = each[`${name}_percent`];
    return {
      type: "scatter",
      mode: "markers",
      name: plain(each.method),
      legendgroup: each.method,
      x: [each.parent_calls_percent],
      y: [middle],
      error_x: {
        type: "data",
        visible: uncertain(each),
        array: [each.parent_calls_percent_error ?? 0],
        color: lookOf(each.method).color,
        thickness: 1.2,
      },
      error_y: {
        type: "data",
        visible: uncertain(each),
        symmetric: false,
        color: lookOf(each.method).color,
        thickness: 1.2,
        array: [each[`${name}_percent_high`] - middle],
        arrayminus: [middle - each[`${name}_percent_low`]],
      },
      hovertemplate:
        "%{x:.1f} % of the calls<br>%{y:.1f} % successes" + `<extra>${plain(each.method)}</extra>`,
      ...changes,
    };
  };
  const known = study.summary.filter(
    (each) => each.parent_calls_percent !== null && each.strict_success_percent !== null,
  );
  const lowest = Math.min(
    ...known.filter(uncertain).map((each) => each.strict_success_percent_low),
    90,
  );
  const draw = () => ({
    data: known.flatMap((each) => [
      trace(each, "strict_success", { marker: markerOf(each.method, { size: 11 }) }),
      trace(each, "success", {
        showlegend: false,
        error_x: { visible: false },
        error_y: { visible: false },
        marker: markerOf(each.method, {
          size: 11,
          symbol: `${lookOf(each.method).symbol.replace("-open", "")}-open`,
          line: { width: 1.8 },
        }),
      }),
    ]),
    layout: {
      xaxis: axis(plain(`Parent calls (% of ${study.reference}’s)`), { rangemode: "tozero" }),
      yaxis: axis("Successes (%)", {
        range: [Math.max(-3, 10 * Math.floor(lowest / 10) - 3), 104],
      }),
    },
  });
  return plot({
    title: "Accuracy against speed",
    sentence:
      "Filled: strict success with its 95 % interval (Wilson), open: success by the paper’s " +
      "rule. Calls: mean of the ratios with its standard error. Up and to the left is better.",
    height: 400,
    signal,
    draw,
  });
}

function finishedWithin(shown, signal, { wide }) {
  const draw = () => ({
    data: byMethod(shown.filter((row) => row.calls > 0)).map(([name, rows]) => {
      const calls = rows.map((row) => row.calls).sort((one, other) => one - other);
      const look = lookOf(name);
      return {
        type: "scatter",
        mode: "lines",
        name: plain(name),
        line: { color: look.color, dash: look.dash, width: 2, shape: "hv" },
        x: [calls[0], ...calls],
        y: [0, ...calls.map((_, index) => (100 * (index + 1)) / calls.length)],
        hovertemplate: `%{y:.0f} % within %{x} calls<extra>${plain(name)}</extra>`,
      };
    }),
    layout: {
      xaxis: logAxis(
        "Parent calls",
        shown.map((row) => row.calls),
      ),
      yaxis: axis("Relaxations that ended (%)", { range: [0, 104] }),
    },
  });
  return plot({
    title: "How many calls a relaxation takes",
    sentence:
      "Share of a method’s relaxations that ended within so many parent calls, successful " +
      "or not.",
    height: 380,
    wide,
    signal,
    draw,
  });
}

function wallTime(signal) {
  const known = study.summary.filter((each) => each.wall_time_s !== null);
  const draw = () => ({
    data: PHASES.map(([phase, color, shape]) => ({
      type: "bar",
      orientation: "h",
      name: phase,
      y: known.map((each) => plain(each.method)),
      x: known.map((each) => each[`${phase}_time_s`]),
      text: known.map((each) => percent(each[`${phase}_time_s`] / each.wall_time_s)),
      textposition: "none",
      marker: {
        color: COLORS[color],
        pattern: { shape, size: 6, fillmode: "overlay", fgcolor: "#000000", fgopacity: 0.35 },
      },
      hovertemplate: `${phase}: %{x:.3g} s, %{text}<extra>%{y}</extra>`,
    })),
    layout: {
      barmode: "stack",
      xaxis: axis("Mean wall time (s)"),
      yaxis: axis("", { autorange: "reversed", ticks: "", showgrid: false }),
    },
  });
  return plot({
    title: "Where the wall time goes",
    sentence: "Mean over the relaxations that recorded it.",
    height: 380,
    signal,
    draw,
  });
}
