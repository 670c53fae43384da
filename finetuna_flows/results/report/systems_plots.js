// The plots of the first page in which each relaxation is a dot that leads to its page.

const NAMED = 40;
const TICKS = [0, 0.02, 0.1, 0.5, 2, 10];

// Linear within the tolerance, logarithmic far beyond it, so that no relaxation is off the axis.
function stretched(energy) {
  return Math.asinh(energy / study.tolerance);
}

function energyAxis(title, changes = {}) {
  const ticks = TICKS.flatMap((tick) => (tick ? [-tick, tick] : [0])).sort(
    (one, other) => one - other,
  );
  return axis(title, {
    tickvals: ticks.map(stretched),
    ticktext: ticks.map((tick) =>
      decimals(tick, tick && Math.abs(tick) < 0.1 ? 2 : tick ? 1 : 0, { sign: true }),
    ),
    ...changes,
  });
}

function toleranceBand(yref) {
  return {
    type: "rect",
    xref: "paper",
    x0: 0,
    x1: 1,
    yref,
    y0: -stretched(study.tolerance),
    y1: stretched(study.tolerance),
    fillcolor: tone("muted"),
    opacity: 0.13,
    line: { width: 0 },
    layer: "below",
  };
}

function said(row) {
  const words = [
    `${row.system}, ${row.name}`,
    `${many(row.calls, "call")}${row.ratio === null ? "" : `, ${percent(row.ratio)}`}`,
    row.difference === null ? "" : `ΔE ${decimals(row.difference, 4, { sign: true })} eV`,
  ];
  return words.filter(Boolean).map(plain).join("<br>");
}

function dots(name, rows, changes) {
  return {
    type: "scatter",
    mode: "markers",
    name: plain(name),
    legendgroup: name,
    marker: markerOf(name, { size: 7, opacity: rows.length > 300 ? 0.6 : 0.9 }),
    text: rows.map(said),
    customdata: rows.map(relaxationPath),
    hovertemplate: "%{text}<extra></extra>",
    ...changes,
  };
}

function energyAgainstCalls(shown, signal) {
  const others = shown.filter((row) => row.name !== study.reference && row.difference !== null);
  return plot({
    title: "Each relaxation: energy against calls",
    sentence:
      "Click on a dot for its page. The band is the tolerance; the energy axis is linear within " +
      "it and logarithmic beyond.",
    height: 400,
    signal,
    draw: () => ({
      data: byMethod(others).map(([name, rows]) =>
        dots(name, rows, {
          x: rows.map((row) => 100 * row.ratio),
          y: rows.map((row) => stretched(row.difference)),
        }),
      ),
      layout: {
        xaxis: axis(plain(`Parent calls (% of ${study.reference}’s)`), { rangemode: "tozero" }),
        yaxis: energyAxis("ΔE (eV)"),
        shapes: [toleranceBand("y")],
      },
    }),
  });
}

// One place a system, by the calls of the reference, or by the most that any method took.
function placesOf(shown) {
  const cost = new Map();
  for (const row of shown) {
    const known = cost.get(row.key) ?? { key: row.key, system: row.system, calls: 0 };
    if (row.name === study.reference || !study.reference)
      known.calls = Math.max(known.calls, row.calls);
    cost.set(row.key, known);
  }
  const ordered = [...cost.values()].sort((one, other) => one.calls - other.calls);
  return { ordered, at: new Map(ordered.map(({ key }, place) => [key, place])) };
}

function bySystems(shown, signal) {
  const { ordered, at } = placesOf(shown);
  const few = ordered.length <= NAMED;
  const names = few
    ? {
        tickvals: ordered.map((_, place) => place),
        ticktext: ordered.map(({ system }) => plain(system)),
        tickangle: -90,
      }
    : {};
  const energies = shown.some((row) => row.difference !== null && row.name !== study.reference);
  const draw = () => {
    const groups = byMethod(shown);
    // Methods of one system stand beside each other, not over each other.
    const x = (rows, index) =>
      rows.map(
        (row) =>
          at.get(row.key) + (groups.length > 1 ? 0.6 * (index / (groups.length - 1) - 0.5) : 0),
      );
    const upper = groups.map(([name, rows], index) =>
      dots(name, rows, { x: x(rows, index), y: rows.map((row) => row.calls || null) }),
    );
    const lower = groups.flatMap(([name, rows], index) => {
      const known = rows.filter((row) => row.difference !== null && name !== study.reference);
      return known.length
        ? [
            dots(name, known, {
              x: x(known, index),
              y: known.map((row) => stretched(row.difference)),
              yaxis: "y2",
              showlegend: false,
            }),
          ]
        : [];
    });
    const title = study.reference
      ? plain(`System, by the parent calls of ${study.reference}`)
      : "System, by its parent calls";
    return {
      data: [...upper, ...lower],
      layout: {
        xaxis: axis(title, {
          anchor: energies ? "y2" : "y",
          range: [-0.7, ordered.length - 0.3],
          showgrid: few,
          ...names,
        }),
        yaxis: logAxis(
          "Parent calls",
          shown.map((row) => row.calls),
          { domain: energies ? [0.54, 1] : [0, 1] },
        ),
        ...(energies
          ? { yaxis2: energyAxis("ΔE (eV)", { domain: [0, 0.46] }), shapes: [toleranceBand("y2")] }
          : {}),
      },
    };
  };
  return plot({
    title: "System by system",
    sentence: "Click on a dot for its page.",
    height: energies ? 560 : 360,
    wide: true,
    signal,
    draw,
  });
}
